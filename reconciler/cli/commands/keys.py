# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet keys`: the offline root, the gateways' keys, and what binds them.

A passphrase comes from a prompt, a file that only its owner can read, or an open file descriptor: arguments
and environment values are seen by other processes, so it is never taken from there. The environment may name
the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.errors import Refused, Unusable
from signing import cose, delegation_request, gateway_keystore, key_files, keys, passphrase, root_keystore
from signing.cbor import CborReader
from signing.delegation import Delegation, read_claims, read_delegation
from signing.identifiers import key_id, vendor_id
from signing.key_files import KeyStoreError
from signing.private_key_pem import Passphrase
from signing.verification_error import VerificationError

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PASSPHRASE_FILE = "TINYFLEET_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable


@contextmanager
def translated() -> Iterator[None]:
    """Turn failures of `signing` into those that the command line knows."""
    try:
        yield
    except KeyStoreError as error:
        raise Unusable(str(error)) from error
    except VerificationError as error:
        raise Refused(str(error)) from error


def with_passphrase(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where a passphrase comes from."""
    from_file = click.option(
        "--passphrase-file",
        type=FILE,
        envvar=PASSPHRASE_FILE,
        help=f"File with the passphrase, readable by its owner alone (also: {PASSPHRASE_FILE}).",
    )
    from_fd = click.option("--passphrase-fd", type=int, help="Open file descriptor to read the passphrase from.")
    return from_file(from_fd(function))


def ask_passphrase(file: Path | None, descriptor: int | None, *, new: bool = False) -> Passphrase:
    """Say where a passphrase will come from when it is needed."""
    if file is not None:
        return lambda: passphrase.from_file(file)
    if descriptor is not None:
        return lambda: passphrase.from_descriptor(descriptor)
    return lambda: str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)).encode()


def _gateway_passphrase(file: Path | None, descriptor: int | None) -> bytes | None:
    """A gateway's key is encrypted only when an option asks for it: no daemon starts with such a key.

    The environment's passphrase is the root's, and often there when a gateway's key is made.
    """
    source = click.get_current_context().get_parameter_source("passphrase_file")
    asked_for = None if source is click.core.ParameterSource.ENVIRONMENT else file
    if asked_for is None and descriptor is None:
        return None
    click.echo("this key has a passphrase: `tinyfleet run` will refuse it, commands will ask for it", err=True)
    return ask_passphrase(asked_for, descriptor)()


@click.group()
def command() -> None:
    """Make, delegate, rotate and revoke keys."""


@command.group()
def root() -> None:
    """The fleet owner's offline key."""


@root.command("init")
@click.argument("directory", type=DIRECTORY)
@with_passphrase
def root_init(directory: Path, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make the root key in DIRECTORY, encrypted, with its public half as PEM, hex and C header."""
    with translated():
        key = root_keystore.init(directory, ask_passphrase(passphrase_file, passphrase_fd, new=True)())
    click.echo(f"root key {key_id(key.public_key).hex()} in {directory}")


@command.group()
def gateway() -> None:
    """A gateway's key."""


def _write_request(key: keys.FileKey, fleet: str, output: Path) -> None:
    key_files.write_public(output, delegation_request.make_request(key, vendor_id(fleet)))
    click.echo(f"request for key {key_id(key.public_key).hex()} in {output}; compare the key id by another way")


@gateway.command("init")
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", required=True, help="Name of the fleet that the gateway serves.")
@with_passphrase
def gateway_init(directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make a gateway key in DIRECTORY, and the request for its delegation."""
    with translated():
        if any(directory.glob("gateway-*.key")):
            raise Unusable(f"{directory} has a key already: `tinyfleet keys rotate` makes the next one")
        key = gateway_keystore.new_key(directory, _gateway_passphrase(passphrase_file, passphrase_fd))
        _write_request(key, fleet, directory / "request.cose")


@gateway.command("request")
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", required=True, help="Name of the fleet that the gateway serves.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: DIRECTORY/request.cose."
)
@with_passphrase
def gateway_request(
    directory: Path, fleet: str, output: Path | None, passphrase_file: Path | None, passphrase_fd: int | None
) -> None:
    """Ask again for a delegation, for the newest key in DIRECTORY."""
    with translated():
        key = gateway_keystore.latest_key(directory, ask_passphrase(passphrase_file, passphrase_fd))
        _write_request(key, fleet, output or directory / "request.cose")


@gateway.command("install")
@click.argument("directory", type=DIRECTORY)
@click.argument("delegation", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="The root's public key (PEM or hex).")
@click.option("--fleet", required=True, help="Name of the fleet that the gateway serves.")
def gateway_install(directory: Path, delegation: Path, root_public: Path, fleet: str) -> None:
    """Put a delegation in force; keys that it replaces are removed."""
    with translated():
        root_key = keys.read_public_key(root_public)
        granted = gateway_keystore.install(directory, key_files.read_public(delegation), root_key, vendor_id(fleet))
    click.echo(_describe(granted))


@command.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", required=True, help="Name of the fleet that the gateway serves.")
@with_passphrase
def rotate(directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make a gateway's next key and its request; the present key signs until the new delegation is installed."""
    with translated():
        key = gateway_keystore.new_key(directory, _gateway_passphrase(passphrase_file, passphrase_fd))
        _write_request(key, fleet, directory / "request.cose")


@command.command()
@click.argument("requests", type=FILE, nargs=-1, required=True)
@click.option("--root", "root_directory", type=DIRECTORY, required=True, help="Directory of the root key.")
@click.option("--fleet", required=True, help="Name of the fleet that the gateways serve.")
@click.option("--epoch", type=click.IntRange(1, 2**32 - 1), help="Default: the fleet's current epoch.")
@click.option("--not-after", type=click.DateTime(["%Y-%m-%d"]), help="Last day (UTC), for devices that know the time.")
@with_passphrase
def delegate(  # noqa: PLR0913, PLR0917 - click passes one argument an option
    requests: tuple[Path, ...],
    root_directory: Path,
    fleet: str,
    epoch: int | None,
    not_after: datetime | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Let the gateways that ask sign for the fleet; each delegation is written beside its request."""
    with translated():
        asked = [(path, delegation_request.read_request(key_files.read_public(path))) for path in requests]
        store = root_keystore.RootKeystore(root_directory, ask_passphrase(passphrase_file, passphrase_fd))
        for path, revision in asked:
            cwt = store.delegate(fleet, revision, epoch=epoch, not_after=_end_of_day(not_after))
            key_files.write_public(path.with_suffix(".cwt"), cwt)
            click.echo(f"{path.with_suffix('.cwt')}: {_describe(read_delegation(cwt, store.public_key))}")


def _end_of_day(day: datetime | None) -> int | None:
    return None if day is None else int(day.replace(hour=23, minute=59, second=59, tzinfo=UTC).timestamp())


@command.command()
@click.option("--root", "root_directory", type=DIRECTORY, required=True, help="Directory of the root key.")
@click.option("--fleet", required=True, help="Name of the fleet.")
@with_passphrase
def revoke(root_directory: Path, fleet: str, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Raise the fleet's epoch. Delegate the remaining keys anew: devices that saw one refuse all older ones."""
    with translated():
        epoch = root_keystore.RootKeystore(root_directory, ask_passphrase(passphrase_file, passphrase_fd)).revoke(fleet)
    click.echo(f"{fleet} is at epoch {epoch}; delegate the remaining gateways anew and install what you get on each")


@command.command()
@click.argument("file", type=FILE)
def show(file: Path) -> None:
    """Say what FILE is: a public key, a request, or a delegation. Nothing is checked against a root."""
    with translated():
        data = key_files.read_public(file)
        if data.startswith(b"\xd2"):
            click.echo(_show_cose(data))
        elif b"PRIVATE KEY" in data:
            raise Unusable(f"{file} is a private key; nothing of it is shown")
        else:
            public_key = keys.read_public_key(file)
            click.echo(f"public key {key_id(public_key).hex()}: {public_key.hex()}")


def _show_cose(data: bytes) -> str:
    try:
        request = delegation_request.read_request(data)
    except VerificationError:
        return _describe(read_claims(cose.read(CborReader(data), cose.SIGN1_TAG).payload))
    return f"request of key {key_id(request.public_key).hex()} for vendor {request.vendor.hex()}, signed with that key"


@command.command()
@click.argument("delegation", type=FILE)
@click.option("--root", "root_public", type=FILE, required=True, help="The root's public key (PEM or hex).")
@click.option("--fleet", required=True, help="Name of the fleet that the delegation must be for.")
def verify(delegation: Path, root_public: Path, fleet: str) -> None:
    """Check a delegation as a device would."""
    with translated():
        granted = read_delegation(key_files.read_public(delegation), keys.read_public_key(root_public))
        if granted.vendor != vendor_id(fleet):
            raise Refused(f"FLEET: delegated for another fleet than {fleet}")
    click.echo(_describe(granted))


def _describe(delegation: Delegation) -> str:
    until = ""
    if delegation.not_after is not None:
        until = f", until {datetime.fromtimestamp(delegation.not_after, UTC):%Y-%m-%d %H:%M:%S} UTC"
    key, vendor = delegation.key_id.hex(), delegation.vendor.hex()
    return f"key {key} may sign for vendor {vendor} in epoch {delegation.epoch}{until}"
