# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet install-service`: install the systemd unit, its user, its folders and an initial configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click

from reconciler.cli.leaf_command import LeafCommand
from reconciler.daemon.service_installation import CannotInstall, install, must_be_visible, parts

SYSTEM = Path("/")
SET_UP = (
    ("systemd-sysusers", "tinyfleet.conf"),
    ("systemd-tmpfiles", "--create", "tinyfleet.conf"),
    ("systemctl", "daemon-reload"),
)
NEXT = """Next:
  edit /etc/tinyfleet/gateway.toml, then
  tinyfleet config check && runuser -u tinyfleet -- tinyfleet doctor
  systemctl enable --now tinyfleet"""

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=SYSTEM,
    show_default=True,
    help="Install below this folder. With a folder other than /, for an image, no systemd command runs.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")


@click.command(cls=LeafCommand)
@root_option
@click.option(
    "--command",
    "start",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Command that the service starts, as a path on the installed system. [default: this command]",
)
@dry_run_option
def command(root: Path, start: Path | None, *, dry_run: bool) -> None:
    """Install tinyfleet.service, its user and its folders, without starting it.

    It also installs tinyfleet-pki.timer, which renews certificates on the machine that has the certificate authority.
    Run it again after an upgrade to update the installed files. An existing /etc/tinyfleet/gateway.toml is kept.
    """
    start = own_command() if start is None else start.absolute()
    must_be_visible(start)
    for part in parts(start):
        click.echo(f"{install(part, root, dry_run=dry_run)} {root / part.path}")
    run_all(SET_UP, root, dry_run=dry_run)
    click.echo(NEXT)


def own_command() -> Path:
    """Return the path of the running command."""
    neighbour = Path(sys.executable).with_name("tinyfleet")
    found = neighbour if neighbour.exists() else shutil.which("tinyfleet")
    if found is None:
        raise CannotInstall("the command tinyfleet is not on PATH; install it so that the service can start it")
    return Path(found).absolute()


def run_all(commands: tuple[tuple[str, ...], ...], root: Path, *, dry_run: bool) -> None:
    """Run systemd commands, except for an image."""
    for command_line in commands:
        click.echo(f"{'run' if root == SYSTEM else 'skip for an image'}: {' '.join(command_line)}")
        if dry_run or root != SYSTEM:
            continue
        try:
            done = subprocess.run(command_line, check=False, capture_output=True, text=True)
        except FileNotFoundError as missing:
            raise CannotInstall(f"{command_line[0]} not found; does this machine run systemd?") from missing
        if done.returncode != 0:
            raise CannotInstall(f"`{' '.join(command_line)}` failed: {done.stderr.strip()}")
