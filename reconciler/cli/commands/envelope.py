# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet envelope`: what an envelope says, and whether a device would take it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from reconciler.cli.commands.keys import FILE, translated
from signing import key_files, keys
from signing.delegation import read_delegation
from signing.envelope_description import describe
from signing.identifiers import EngineContract, target
from signing.verify import DeviceState, verify


@click.group()
def command() -> None:
    """Explain and verify what gateways sign for devices."""


@command.command()
@click.argument("file", type=FILE)
def inspect(file: Path) -> None:
    """Say in words what an envelope orders. No signature is checked."""
    with translated():
        click.echo(describe(key_files.read_public(file)))


@command.command("verify")
@click.argument("file", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="The root's public key (PEM or hex).")
@click.option("--fleet", required=True, help="Name of the device's fleet.")
@click.option("--device", required=True, help="Name of the device.")
@click.option("--operators", required=True, help="Operators of the device's engine, with commas between.")
@click.option("--pack-format", type=int, default=1, show_default=True, help="Pack format that the device reads.")
@click.option("--slot-bytes", type=int, default=2**32 - 1, help="Default: no limit.")
@click.option(
    "--sequence", type=int, default=0, show_default=True, help="Highest sequence number that the device accepted."
)
@click.option("--held", type=FILE, help="Delegation that the device holds.")
@click.option("--running", help="SHA-256 of the pack that the device runs, in hex.")
@click.option(
    "--now", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="What the device's clock says, if it has one."
)
def verify_command(  # noqa: PLR0913, PLR0917 - click passes one argument an option
    file: Path,
    root_public: Path,
    fleet: str,
    device: str,
    operators: str,
    pack_format: int,
    slot_bytes: int,
    sequence: int,
    held: Path | None,
    running: str | None,
    now: datetime | None,
) -> None:
    """Verify an envelope step by step as this device would; exit code 1 when it would refuse."""
    with translated():
        root_key = keys.read_public_key(root_public)
        state = DeviceState(
            root_key=root_key,
            target=target(fleet, device, EngineContract(pack_format, frozenset(operators.split(",")))),
            slot_bytes=slot_bytes,
            sequence=sequence,
            held=None if held is None else read_delegation(key_files.read_public(held), root_key),
            running=_digest(running),
            now=None if now is None else int(now.timestamp()),
        )
        accepted = verify(key_files.read_public(file), state)
    click.echo(
        f"OK: the device accepts sequence number {accepted.order.sequence}, and holds epoch {accepted.delegation.epoch}"
    )


def _digest(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise click.BadParameter("64 hexadecimal digits are expected", param_hint="--running") from error
