# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet keys`: the offline root key, the gateway keys, and their delegations."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler.cli import terminal
from reconciler.cli.inputs.options import DIRECTORY, FILE, out_option, output_option
from reconciler.cli.inputs.passphrase import passphrase_from, with_passphrase
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import print_result
from reconciler.cli.views.table import table
from reconciler.errors import Refused, Unusable
from signing import cose, delegation_request, gateway_keystore, key_files, keys, root_keystore
from signing.cbor import CborReader
from signing.delegation import Delegation, read_claims, read_delegation
from signing.identifiers import key_id, vendor_id
from signing.rotation import Rotation, describe_rotation
from signing.verification_error import VerificationError


def _gateway_passphrase(file: Path | None, descriptor: int | None) -> bytes | None:
    """Return a passphrase only if an option asks for one: a daemon cannot start with an encrypted key.

    The passphrase of the environment is that of the root key, and is often set while a gateway key is made.
    """
    source = click.get_current_context().get_parameter_source("passphrase_file")
    asked_for = None if source is click.core.ParameterSource.ENVIRONMENT else file
    if asked_for is None and descriptor is None:
        return None
    click.echo(
        "warning: a key with a passphrase works only for interactive commands; `tinyfleet run` refuses it", err=True
    )
    return passphrase_from(asked_for, descriptor)()


@click.group(cls=OrderedGroup)
def command() -> None:
    """Create, delegate, rotate and revoke signing keys.

    The offline root key delegates to the key of each gateway. Gateways sign envelopes, and devices trust the root key.
    """


@command.group(cls=OrderedGroup)
def root() -> None:
    """Manage the offline root key of the fleet owner."""


@root.command("init")
@click.argument("directory", type=DIRECTORY)
@with_passphrase
@output_option
def root_init(directory: Path, passphrase_file: Path | None, passphrase_fd: int | None, output: str) -> None:
    """Create an encrypted root key.

    Writes the key to DIRECTORY, and the public key as PEM, hex and C header.
    """
    with translated():
        key = root_keystore.init(directory, passphrase_from(passphrase_file, passphrase_fd, new=True)())
    fields = {"keyId": key_id(key.public_key).hex(), "publicKey": key.public_key.hex(), "directory": str(directory)}
    print_result(output, fields, f"created root key {fields['keyId']} in {directory}")


@root.command("rotate")
@click.argument("successor", type=DIRECTORY)
@click.option("--root", "root_directory", type=DIRECTORY, required=True, help="Directory of the root key in force.")
@with_passphrase
@output_option
def root_rotate(
    successor: Path, root_directory: Path, passphrase_file: Path | None, passphrase_fd: int | None, output: str
) -> None:
    """Sign the root key in SUCCESSOR with the one in force.

    Writes SUCCESSOR/rotation.cwt. Install it on each gateway, with a delegation by the new root; devices then follow.
    """
    with translated():
        store = root_keystore.RootKeystore(root_directory, passphrase_from(passphrase_file, passphrase_fd))
        rotation = store.rotate_to(successor)
    fields = {"file": str(successor / root_keystore.ROTATION), **_rotation_fields(key_id(store.public_key), rotation)}
    text = f"wrote {fields['file']}: devices with root {fields['signedBy']} will follow root {fields['keyId']}"
    print_result(output, fields, text)


@command.group(cls=OrderedGroup)
def gateway() -> None:
    """Manage the keys of gateways."""


def _write_request(key: keys.FileKey, fleet: str, path: Path, output: str) -> None:
    key_files.write_public(path, delegation_request.make_request(key, vendor_id(fleet)))
    identifier = key_id(key.public_key).hex()
    text = f"wrote {path}: request for key {identifier}; compare the key ID over a second channel"
    print_result(output, {"request": str(path), "keyId": identifier}, text)


@gateway.command("init")
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@with_passphrase
@output_option
def gateway_init(
    directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None, output: str
) -> None:
    """Create a gateway key and a delegation request.

    Writes both to DIRECTORY.
    """
    with translated():
        if any(directory.glob("gateway-*.key")):
            raise Unusable(f"{directory} already has a key; run `tinyfleet keys rotate` to create the next one")
        key = gateway_keystore.new_key(directory, _gateway_passphrase(passphrase_file, passphrase_fd))
        _write_request(key, fleet, directory / "request.cose", output)


@gateway.command("request")
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@out_option("Request file to write. [default: DIRECTORY/request.cose]")
@with_passphrase
@output_option
def gateway_request(  # noqa: PLR0913, PLR0917 - one parameter for each option
    directory: Path,
    fleet: str,
    out: Path | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Write a delegation request for the newest key."""
    with translated():
        key = gateway_keystore.latest_key(directory, passphrase_from(passphrase_file, passphrase_fd))
        _write_request(key, fleet, out or directory / "request.cose", output)


@gateway.command("install")
@click.argument("directory", type=DIRECTORY)
@click.argument("delegation", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="Public root key (PEM or hex).")
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@click.option(
    "--rotation",
    "rotations",
    type=FILE,
    multiple=True,
    help="Rotation that leads to this root, for devices with an earlier one; the newest first if there are several.",
)
@output_option
def gateway_install(  # noqa: PLR0913, PLR0917 - one parameter for each option
    directory: Path, delegation: Path, root_public: Path, fleet: str, rotations: tuple[Path, ...], output: str
) -> None:
    """Install a delegation, and remove the keys that it replaces."""
    with translated():
        root_key = keys.read_public_key(root_public)
        for rotation in rotations:
            gateway_keystore.add_rotation(directory, key_files.read_public(rotation), root_key)
        granted = gateway_keystore.install(directory, key_files.read_public(delegation), root_key, vendor_id(fleet))
    print_result(output, _delegation_fields(granted), _describe(granted))


@command.command()
@click.argument("requests", type=FILE, nargs=-1, required=True)
@click.option("--root", "root_directory", type=DIRECTORY, required=True, help="Directory of the root key.")
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@click.option(
    "--epoch",
    type=click.IntRange(1, 2**32 - 1),
    help="Epoch of the delegation. [default: the current epoch of the fleet]",
)
@click.option(
    "--not-after",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last day of validity (UTC), for devices that know the time.",
)
@with_passphrase
@output_option
def delegate(  # noqa: PLR0913, PLR0917 - one parameter for each option
    requests: tuple[Path, ...],
    root_directory: Path,
    fleet: str,
    epoch: int | None,
    not_after: datetime | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Grant the delegation requests of gateways.

    Writes each delegation next to its request, as a .cwt file.
    """
    with translated():
        pending = [(path, delegation_request.read_request(key_files.read_public(path))) for path in requests]
        store = root_keystore.RootKeystore(root_directory, passphrase_from(passphrase_file, passphrase_fd))
        granted: dict[Path, Delegation] = {}
        for path, request in pending:
            cwt = store.delegate(fleet, request, epoch=epoch, not_after=_end_of_day(not_after))
            key_files.write_public(path.with_suffix(".cwt"), cwt)
            granted[path.with_suffix(".cwt")] = read_delegation(cwt, store.public_key)
    fields = [{"file": str(path), **_delegation_fields(each)} for path, each in granted.items()]
    print_result(output, fields, "\n".join(f"{path}: {_describe(each)}" for path, each in granted.items()))


@command.command()
@click.argument("delegation", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="Public root key (PEM or hex).")
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@output_option
def verify(delegation: Path, root_public: Path, fleet: str, output: str) -> None:
    """Verify a delegation as a device would."""
    with translated():
        granted = read_delegation(key_files.read_public(delegation), keys.read_public_key(root_public))
        if granted.vendor != vendor_id(fleet):
            raise Refused(f"FLEET: the delegation is not for the fleet {fleet}")
    fields = _delegation_fields(granted)
    click.echo(json.dumps(fields, indent=2) if output == "json" else _describe(granted))


@command.command()
@click.argument("file", type=FILE)
@output_option
def show(file: Path, output: str) -> None:
    """Show what a public key, request, delegation or rotation says.

    No signature of a root key is checked.
    """
    with translated():
        data = key_files.read_public(file)
        if data.startswith(b"\xd2"):
            fields = _cose_fields(data)
        elif b"PRIVATE KEY" in data:
            raise Unusable(f"{file} is a private key; its content is never shown")
        else:
            public_key = keys.read_public_key(file)
            fields = {"kind": "public key", "keyId": key_id(public_key).hex(), "publicKey": public_key.hex()}
    if output == "json":
        click.echo(json.dumps(fields, indent=2))
        return
    rows = [(name, str(value)) for name, value in fields.items() if value is not None]
    terminal.print_lines(table((), rows, terminal.terminal_width()))


@command.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@with_passphrase
@output_option
def rotate(directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None, output: str) -> None:
    """Create the next key of a gateway, and its request.

    The current key signs until the new delegation is installed.
    """
    with translated():
        key = gateway_keystore.new_key(directory, _gateway_passphrase(passphrase_file, passphrase_fd))
        _write_request(key, fleet, directory / "request.cose", output)


@command.command()
@click.option("--root", "root_directory", type=DIRECTORY, required=True, help="Directory of the root key.")
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@with_passphrase
@output_option
def revoke(
    root_directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None, output: str
) -> None:
    """Revoke all delegations of the fleet by raising its epoch.

    Then delegate again to the remaining gateways. A device that has seen the new epoch refuses older delegations.
    """
    with translated():
        epoch = root_keystore.RootKeystore(root_directory, passphrase_from(passphrase_file, passphrase_fd)).revoke(
            fleet
        )
    text = f"{fleet} is at epoch {epoch}; delegate to the remaining gateways again and install each delegation"
    print_result(output, {"fleet": fleet, "epoch": epoch}, text)


def _end_of_day(day: datetime | None) -> int | None:
    return None if day is None else int(day.replace(hour=23, minute=59, second=59, tzinfo=UTC).timestamp())


def _cose_fields(data: bytes) -> dict[str, Any]:
    with suppress(VerificationError):
        return _rotation_fields(*describe_rotation(data))
    try:
        request = delegation_request.read_request(data)
    except VerificationError:
        return _delegation_fields(read_claims(cose.read(CborReader(data), cose.SIGN1_TAG).payload))
    return {"kind": "request", "keyId": key_id(request.public_key).hex(), "vendor": request.vendor.hex()}


def _rotation_fields(signer: bytes, rotation: Rotation) -> dict[str, Any]:
    return {
        "kind": "rotation",
        "keyId": rotation.key_id.hex(),
        "signedBy": signer.hex(),
        "number": rotation.number,
        "publicKey": rotation.next_root.hex(),
    }


def _delegation_fields(delegation: Delegation) -> dict[str, Any]:
    return {
        "kind": "delegation",
        "keyId": delegation.key_id.hex(),
        "vendor": delegation.vendor.hex(),
        "epoch": delegation.epoch,
        "notAfter": None if delegation.not_after is None else _time(delegation.not_after).isoformat(),
    }


def _describe(delegation: Delegation) -> str:
    until = ""
    if delegation.not_after is not None:
        until = f", until {_time(delegation.not_after):%Y-%m-%d %H:%M:%S} UTC"
    key, vendor = delegation.key_id.hex(), delegation.vendor.hex()
    return f"key {key} may sign for vendor {vendor} in epoch {delegation.epoch}{until}"


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
