# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet doctor`: what is wrong on this gateway, and how to mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.daemon import doctor, doctor_network
from reconciler.daemon.doctor import CheckResult, CheckSeverity

CHECKS: tuple[Callable[[config.GatewayConfig], Iterator[CheckResult]], ...] = (
    doctor.daemon,
    doctor.keys,
    doctor.permissions,
    doctor.webhook,
    doctor.disk,
    doctor.clock,
    doctor.serial,
    doctor.build,
    doctor_network.git,
    doctor_network.broker,
)
MARKS = {CheckSeverity.OK: "ok  ", CheckSeverity.WARNING: "hm  ", CheckSeverity.ERROR: "BAD "}


@click.command(short_help="Find what is wrong on this gateway, and how to mend it")
@config_option
@output_option
def command(config_path: Path, output: str) -> None:
    """Look at the daemon, keys, permissions, notices, disk, clock, serial ports, Git and the broker.

    Changes nothing and disturbs no running daemon. Run it as the daemon's user. Exits with 1 if something is wrong.
    """
    findings = list(_findings(config_path))
    if output == "json":
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.severity]}{finding.check}: {finding.message}")
            if finding.severity is not CheckSeverity.OK:
                click.echo(f"      → {finding.remedy}")
    sys.exit(1 if any(finding.severity is CheckSeverity.ERROR for finding in findings) else 0)


def _findings(config_path: Path) -> Iterator[CheckResult]:
    try:
        settings = config.read(config_path)
    except config.ConfigInvalid as invalid:
        yield doctor.failed("configuration", str(invalid), "docs/configuration.md has every setting")
        return
    yield doctor.passed("configuration", f"{config_path} is valid")
    for check in CHECKS:
        yield from check(settings)
