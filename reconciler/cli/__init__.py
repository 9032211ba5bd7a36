# SPDX-License-Identifier: Apache-2.0
"""The command `tinyfleet`.

Each command lives in a module of its own and is imported only when it is asked for, so that
`tinyfleet --help` stays quick. Exit codes everywhere: 0 done and clean, 1 problems were found
or something failed, 2 the command line was wrong.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata

import click
from click.shell_completion import CompletionItem

from reconciler.errors import FleetError

# command: module of `reconciler.cli.commands` that defines `command`, and the line that `--help` shows
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("build", "Build the artifacts of models"),
    "pack": ("pack", "Make, look into, run and compare packs"),
    "provision": ("provision", "Make a device's first flash content and write it"),
    "pki": ("pki", "Certificates for MQTT, and the broker's configuration"),
    "plan": ("plan", "Show what would be done to each device, and why"),
    "accept": ("accept", "Go on from a commit though history was rewritten"),
    "config": ("config", "Check and show the gateway's own configuration"),
    "doctor": ("doctor", "Find what is wrong on this gateway, and how to mend it"),
    "init": ("init", "Begin a fleet repository"),
    "install-service": ("install_service", "Install the systemd service"),
    "reconcile": ("reconcile", "Reconcile once and end, or show what would be done"),
    "status": ("status", "Show what this gateway knows of its devices"),
    "uninstall-service": ("uninstall_service", "Take the systemd service away"),
    "run": ("run", "Keep the devices of this gateway as Git says"),
    "rollout": ("rollout", "Show how far rollouts are, what is stuck, and why"),
    "explain": ("explain", "Tell why a device is as it is, from commit to condition"),
    "schema": ("schema", "Print the schema of a kind"),
    "validate": ("validate", "Check a fleet repository"),
    "envelope": ("envelope", "Explain and verify what gateways sign for devices"),
    "keys": ("keys", "Make, delegate, rotate and revoke keys"),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands without importing any of them."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that defines the command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _ = COMMANDS[cmd_name]
        command = import_module(f"reconciler.cli.commands.{module}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"reconciler.cli.commands.{module}.command is not a command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name, without importing any of them: a shell waits for this."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS[name][1]) for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short help, again without importing them."""
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx) if name in COMMANDS]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("tinyfleet"), prog_name="tinyfleet")
def cli() -> None:
    """GitOps for machine learning on microcontrollers: what is merged is what runs."""


def main() -> None:
    """Run the command; a failure we know becomes one clear line and exit code 1."""
    try:
        cli.main(standalone_mode=True)
    except FleetError as error:
        click.echo(f"tinyfleet: {error}", err=True)
        sys.exit(1)
