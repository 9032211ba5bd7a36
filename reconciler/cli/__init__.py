# SPDX-License-Identifier: Apache-2.0
"""The command `tinyfleet`.

Each subcommand lives in a module of its own and is imported only when it runs, so that `tinyfleet --help` and shell
completion stay quick. Exit codes of all commands: 0 success, 1 a problem was found or something failed, 2 the command
line was wrong.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from reconciler.cli.ordered_group import OrderedGroup
from reconciler.errors import FleetError
from reconciler.foreign_text import printable

# Grouped by reader, in the order of the workflow. The module of a command has its name, with underscores.
GROUPS: dict[str, dict[str, str]] = {
    "Fleet authors": {
        "init": "Create a fleet repository",
        "schema": "Print the JSON Schema of a document kind",
        "validate": "Check a fleet repository for mistakes",
        "verify": "Check the signatures of a change before it is merged",
        "build": "Build the artifacts of models",
        "pack": "Make, inspect, run and compare packs",
        "plan": "Show what would happen to each device, and why",
        "rollout": "Show the progress of rollouts",
        "explain": "Explain why a device is in its current state",
        "provenance": "Verify where a model on a device comes from",
    },
    "Gateway operators": {
        "config": "Check and show the configuration of the gateway",
        "doctor": "Diagnose this gateway and suggest repairs",
        "install-service": "Install the systemd service",
        "run": "Run the gateway daemon",
        "reconcile": "Run one reconciliation, or show what it would do",
        "status": "Show the devices of this gateway",
        "contest": "Show contests, label windows, and try other rules",
        "training": "Show trainings, and start one",
        "pipeline": "Show pipelines, and run them",
        "node": "Show which gateways offer operations",
        "function": "Show the functions that gateways run",
        "operation": "List the operations of a gateway, and request one",
        "storage": "Show and copy the items that this gateway stores",
        "knowledge": "Show, copy and delete the samples that this gateway keeps",
        "accept-history": "Accept a commit after a rewrite of the history",
        "uninstall-service": "Remove the systemd service",
    },
    "Keys and certificates": {
        "keys": "Create, delegate, rotate and revoke signing keys",
        "pki": "Manage the TLS certificates for MQTT",
        "envelope": "Inspect and verify signed envelopes",
    },
    "Devices": {
        "provision": "Write the initial flash content of a device",
    },
}
COMMANDS: dict[str, str] = {name: purpose for commands in GROUPS.values() for name, purpose in commands.items()}


class LazyGroup(OrderedGroup):
    """A group that imports the module of a command only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands in the order of the groups, without importing them."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that defines the command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = f"reconciler.cli.commands.{cmd_name.replace('-', '_')}"
        command = import_module(module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.command is not a command")
        command.short_help = COMMANDS[cmd_name]
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any: a shell waits for this."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS.get(name, "")) for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by reader, again without importing them."""
        del ctx  # the groups are the same for every context
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", purpose) for name, purpose in commands.items()])


@click.group("tinyfleet", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tinyfleet", prog_name="tinyfleet")  # looked up only when asked for
def cli() -> None:
    """GitOps for machine learning on microcontrollers: what is merged is what runs."""


def main() -> None:
    """Run the command; a known failure, or output that cannot be written, becomes one line and exit code 1."""
    try:
        try:
            cli.main(standalone_mode=True)
        finally:
            sys.stdout.flush()  # a full device shows here at the latest
    except FleetError as error:
        _fail(printable(str(error)))
    except BrokenPipeError:
        _discard_output()  # the reader has seen enough, as in `tinyfleet plan | head`
        sys.exit(1)
    except OSError as error:
        _discard_output()
        _fail(f"{error.filename or 'cannot write the output'}: {error.strerror}")


def _fail(message: str) -> None:
    with suppress(OSError):  # standard error may be full as well
        if "\n" in message and sys.stderr.isatty():
            from reconciler.cli.problem_report import print_highlighted  # noqa: PLC0415 - slow to import

            print_highlighted(f"tinyfleet: {message}")
        else:
            click.echo(f"tinyfleet: {message}", err=True)
    sys.exit(1)


def _discard_output() -> None:
    """Drop what is still buffered: the interpreter would fail to write it once more when it exits."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
