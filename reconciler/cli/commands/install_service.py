# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet install-service`: the systemd unit, its user, its folders, and a configuration to begin with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click

from reconciler.daemon.service_files import CannotInstall, install, must_be_visible, parts

SYSTEM = Path("/")
SET_UP = (
    ("systemd-sysusers", "tinyfleet.conf"),
    ("systemd-tmpfiles", "--create", "tinyfleet.conf"),
    ("systemctl", "daemon-reload"),
)
NEXT = """next:
  edit /etc/tinyfleet/gateway.toml, then
  tinyfleet config check && runuser -u tinyfleet -- tinyfleet doctor
  systemctl enable --now tinyfleet"""

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=SYSTEM,
    show_default=True,
    help="Below which folder; another one than / is for images and tests: no systemd command is run.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")


@click.command(short_help="Install the systemd service")
@root_option
@click.option(
    "--command",
    "start",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What the service starts, as the installed system sees it.  [default: this command]",
)
@dry_run_option
def command(root: Path, start: Path | None, *, dry_run: bool) -> None:
    """Install tinyfleet.service, its user and its folders; starting it is left to you.

    Doing it again, after an upgrade for example, brings everything up to date. /etc/tinyfleet/gateway.toml is written
    only if there is none.
    """
    start = own_command() if start is None else start.absolute()
    must_be_visible(start)
    for part in parts(start):
        click.echo(f"{install(part, root, dry_run=dry_run)} {root / part.path}")
    run_all(SET_UP, root, dry_run=dry_run)
    click.echo(NEXT)


def own_command() -> Path:
    """Return where this very command lies."""
    beside = Path(sys.executable).with_name("tinyfleet")
    found = beside if beside.exists() else shutil.which("tinyfleet")
    if found is None:
        raise CannotInstall("the command tinyfleet is not on PATH, so no service can start it")
    return Path(found).absolute()


def run_all(commands: tuple[tuple[str, ...], ...], root: Path, *, dry_run: bool) -> None:
    """Run systemd's commands; never for an image."""
    for words in commands:
        click.echo(f"{'run' if root == SYSTEM else 'not run for an image'}: {' '.join(words)}")
        if dry_run or root != SYSTEM:
            continue
        try:
            done = subprocess.run(words, check=False, capture_output=True, text=True)
        except FileNotFoundError as missing:
            raise CannotInstall(f"{words[0]} is not there: is this a machine that runs systemd?") from missing
        if done.returncode != 0:
            raise CannotInstall(f"`{' '.join(words)}` failed: {done.stderr.strip()}")
