# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet envelope`: inspect an envelope, and check whether a device would accept it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from reconciler.cli.inputs.options import FILE, output_option
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.ordered_group import OrderedGroup
from signing import key_files, keys
from signing.delegation import read_delegation
from signing.envelope import InstallOrder
from signing.envelope_description import describe
from signing.identifiers import EngineContract, target
from signing.manifest import read_manifest
from signing.verify import DeviceState, read_frame, verify


@click.group(cls=OrderedGroup)
def command() -> None:
    """Inspect and verify the envelopes that gateways sign for devices."""


@command.command()
@click.argument("file", type=FILE)
@output_option
def inspect(file: Path, output: str) -> None:
    """Show what an envelope orders. Checks no signature."""
    with translated():
        envelope = key_files.read_public(file)
        click.echo(json.dumps(_fields(envelope), indent=2) if output == "json" else describe(envelope))


@command.command("verify")
@click.argument("file", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="Public root key (PEM or hex).")
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@click.option("--device", metavar="NAME", required=True, help="Name of the device.")
@click.option(
    "--operators", metavar="LIST", required=True, help="Operators of the device's engine, separated by commas."
)
@click.option("--pack-format", type=int, default=1, show_default=True, help="Pack format of the device's engine.")
@click.option("--slot-bytes", type=int, default=2**32 - 1, help="Slot size of the device. [default: no limit]")
@click.option(
    "--sequence", type=int, default=0, show_default=True, help="Highest sequence number that the device has accepted."
)
@click.option("--held", type=FILE, help="Delegation that the device has stored.")
@click.option("--running", metavar="DIGEST", help="SHA-256 of the running pack, in hex.")
@click.option(
    "--now",
    metavar="TIME",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="Time of the device's clock, if it has one.",
)
@output_option
def verify_command(  # noqa: PLR0913, PLR0917 - one parameter for each option
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
    output: str,
) -> None:
    """Verify an envelope as the given device would. Exits with 1 if the device would refuse it."""
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
    sequence, epoch = accepted.order.sequence, accepted.delegation.epoch
    if output == "json":
        click.echo(json.dumps({"verdict": "OK", "sequence": sequence, "epoch": epoch}, indent=2))
    else:
        click.echo(f"OK: the device accepts sequence number {sequence}, and stores the delegation of epoch {epoch}")


def _fields(envelope: bytes) -> dict[str, Any]:
    frame = read_frame(envelope)
    manifest = read_manifest(frame.manifest)
    order = manifest.order
    fields = {
        "bytes": len(envelope),
        "keyId": frame.signature.key_id.hex(),
        "delegation": frame.chain is not None,
        "device": str(UUID(bytes=manifest.device)),
        "sequence": order.sequence,
        "digest": order.digest.hex(),
    }
    if isinstance(order, InstallOrder):
        return fields | {"order": "install", "size": order.size}
    return fields | {"order": "configure", "parameters": {str(index): value for index, value in order.values.items()}}


def _digest(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise click.BadParameter("expected 64 hexadecimal digits", param_hint="--running") from error
