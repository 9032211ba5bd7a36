# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet uninstall-service`: remove the service; its state and configuration stay."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.commands.install_service import dry_run_option, own_command, root_option, run_all
from reconciler.cli.leaf_command import LeafCommand
from reconciler.daemon.service_installation import parts, uninstall

BEFORE = (("systemctl", "disable", "--now", "tinyfleet.service", "tinyfleet-pki.timer"),)
AFTER = (("systemctl", "daemon-reload"),)


@click.command(cls=LeafCommand)
@root_option
@dry_run_option
def command(root: Path, *, dry_run: bool) -> None:
    """Stop the service and remove its files.

    The state (/var/lib/tinyfleet), the configuration with the keys (/etc/tinyfleet) and the user stay: remove them by
    hand. Devices keep running their current models.
    """
    files = parts(own_command())
    if (root / files[0].path).exists():
        run_all(BEFORE, root, dry_run=dry_run)
    for part in files:
        click.echo(f"{uninstall(part, root, dry_run=dry_run)} {root / part.path}")
    run_all(AFTER, root, dry_run=dry_run)
