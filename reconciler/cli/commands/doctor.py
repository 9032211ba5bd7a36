# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet doctor`: diagnose this gateway and suggest repairs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from reconciler import config
from reconciler.cli import terminal
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.views.table import Row, table
from reconciler.daemon import doctor, doctor_network
from reconciler.daemon.doctor import CheckResult, CheckSeverity

CHECKS: tuple[Callable[[config.GatewayConfig], Iterator[CheckResult]], ...] = (
    doctor.daemon,
    doctor.keys,
    doctor.certificates,
    doctor.permissions,
    doctor.automation,
    doctor.receivers,
    doctor.disk,
    doctor.clock,
    doctor.serial,
    doctor.build,
    doctor.sandbox,
    doctor_network.git,
    doctor_network.broker,
    doctor_network.uplinks,
)
MARKS = {
    CheckSeverity.OK: Text("ok", "green"),
    CheckSeverity.WARNING: Text("warning", "yellow"),
    CheckSeverity.ERROR: Text("FAILED", "bold red"),
}


@click.command(cls=LeafCommand)
@config_option
@output_option
def command(config_path: Path, output: str) -> None:
    """Check the daemon, keys, certificates, permissions, webhook, disk, clock, serial ports, Git and the broker.

    Changes nothing and does not disturb a running daemon. Run it as the user of the daemon. Exits with 1 if a check
    fails.
    """
    results = list(_run_checks(config_path))
    if output == "json":
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        terminal.print_lines(table(("result", "check", "finding"), map(_row, results), terminal.terminal_width()))
    sys.exit(1 if any(result.severity is CheckSeverity.ERROR for result in results) else 0)


def _row(result: CheckResult) -> Row:
    advice = "" if result.severity is CheckSeverity.OK else f"; to do: {result.remedy}"
    return (MARKS[result.severity], result.check, f"{result.message}{advice}")


def _run_checks(config_path: Path) -> Iterator[CheckResult]:
    try:
        settings = config.read(config_path)
    except config.ConfigInvalid as invalid:
        yield doctor.failed("configuration", str(invalid), "see docs/configuration.md for all settings")
        return
    yield doctor.passed("configuration", f"{config_path} is valid")
    for check in CHECKS:
        yield from check(settings)
