# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pki`: the certificates of broker, gateways and devices, and the broker's configuration (docs/pki.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path, PurePath

import click
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler.cli.commands.keys import DIRECTORY, FILE, ask_passphrase, translated, with_passphrase
from signing import broker_config as pki_broker
from signing import key_files, pki_expiry, pki_store
from signing.pki import Role, Subject, ValidityPeriod, subject_of
from signing.pki_keys import KeyKind
from signing.pki_store import CertificateStore, Issuer

AUTHORITY_DAYS, LIST_DAYS = 7300, 365
DAYS = {Role.BROKER: 730, Role.GATEWAY: 730, Role.DEVICE: 3650}
LONGEST_DAYS = 36500
CA = click.option("--ca", "directory", type=DIRECTORY, required=True, help="Directory of the authority.")
KIND = click.option(
    "--key",
    "kind",
    type=click.Choice(KeyKind, case_sensitive=False),
    default=KeyKind.P256.value,
    show_default=True,
    help="The kind of key.",
)
ROLE = click.argument("role", type=click.Choice(Role, case_sensitive=False))


def _days(option: str, default: int | None, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        option, type=click.IntRange(1, LONGEST_DAYS), default=default, show_default=default is not None, help=what
    )


def _term(days: int) -> ValidityPeriod:
    return ValidityPeriod(datetime.now(UTC), days)


def _issuer(directory: Path, passphrase_file: Path | None, passphrase_fd: int | None) -> Issuer:
    return Issuer(CertificateStore(directory), ask_passphrase(passphrase_file, passphrase_fd))


@click.group()
def command() -> None:
    """Certificates for MQTT: make, renew and revoke them, and configure the broker."""


@command.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", required=True, help="Name of the fleet.")
@KIND
@_days("--days", AUTHORITY_DAYS, "How long the authority lasts; nothing below it lasts longer.")
@_days("--list-days", LIST_DAYS, "How long the list of what is revoked counts.")
@with_passphrase
def init(  # noqa: PLR0913, PLR0917 - click passes one argument an option
    directory: Path,
    fleet: str,
    kind: KeyKind,
    days: int,
    list_days: int,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make the fleet's authority in DIRECTORY, its key encrypted."""
    with translated():
        passphrase = ask_passphrase(passphrase_file, passphrase_fd, new=True)()
        store = pki_store.init(directory, fleet, kind, passphrase, (_term(days), _term(list_days)))
    click.echo(f"authority of {store.fleet} in {directory}, until {_date(store.certificate.not_valid_after_utc)}")


@command.command()
@ROLE
@click.argument("names", nargs=-1, required=True)
@CA
@click.option("-o", "--output", type=DIRECTORY, required=True, help="Folder for NAME.key, NAME.crt and ca.crt.")
@KIND
@_days("--days", None, "Default: 730, for devices 3650.")
@click.option("--host", "hosts", multiple=True, help="A further name or address of the broker; its NAME is one too.")
@click.option(
    "--csr", type=FILE, help="A request (PKCS#10) with the key, which then stays where it is; for one NAME only."
)
@with_passphrase
def issue(  # noqa: PLR0913, PLR0917 - click passes one argument an option
    role: Role,
    names: tuple[str, ...],
    directory: Path,
    output: Path,
    kind: KeyKind,
    days: int | None,
    hosts: tuple[str, ...],
    csr: Path | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make keys and certificates for brokers, gateways or devices, named as the fleet repository names them."""
    if csr is not None and len(names) != 1:
        raise click.UsageError("a request is for one name")
    with translated():
        subjects = [Subject(role, name, hosts) for name in names]  # all of them, before anything is made
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        for subject in subjects:
            term = _term(days or DAYS[role])
            if csr is None:
                made = issuer.issue(output, subject, kind, term)
            else:
                made = issuer.issue_for_csr(csr, output / f"{subject.name}.crt", subject, term)
            click.echo(f"{subject}: {output / subject.name}.crt, until {_date(made.not_valid_after_utc)}")
    if role is Role.GATEWAY:
        click.echo("write the broker's configuration anew, so that it knows the gateway")


@command.command()
@click.argument("certificates", type=FILE, nargs=-1, required=True)
@CA
@_days("--days", None, "Default: 730, for devices 3650.")
@with_passphrase
def renew(
    certificates: tuple[Path, ...],
    directory: Path,
    days: int | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Replace certificates by ones that last longer, for the same keys and names."""
    with translated():
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        for path in certificates:
            subject = subject_of(issuer.store.read_issued(path))
            made = issuer.renew(path, _term(days or DAYS[subject.role]))
            click.echo(f"{subject}: {path}, until {_date(made.not_valid_after_utc)}")


@command.command()
@ROLE
@click.argument("names", nargs=-1, required=True)
@CA
@_days("--list-days", LIST_DAYS, "How long the new list counts.")
@with_passphrase
def revoke(  # noqa: PLR0913, PLR0917 - click passes one argument an option
    role: Role,
    names: tuple[str, ...],
    directory: Path,
    list_days: int,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Revoke all certificates of these names."""
    with translated():
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        for name in names:
            for serial in issuer.revoke(Subject(role, name), _term(list_days)):
                click.echo(f"revoked: {role.value} {name}, serial number {serial:x}")
    click.echo("write the broker's configuration anew and restart the broker: until then they get in")


@command.command("crl")
@CA
@_days("--list-days", LIST_DAYS, "How long the new list counts.")
@with_passphrase
def prolong(directory: Path, list_days: int, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make the list of what is revoked anew, before it expires: the broker then lets nobody in."""
    with translated():
        _issuer(directory, passphrase_file, passphrase_fd).renew_crl(_term(list_days))
    click.echo("write the broker's configuration anew and restart the broker")


@command.command()
@click.argument("directory", type=DIRECTORY)
@_days("--warn-days", 30, "Say so when something ends within so many days.")
def show(directory: Path, warn_days: int) -> None:
    """List what was issued and how it stands; exit code 1 when something has ended or soon will."""
    now, warn = datetime.now(UTC), timedelta(days=warn_days)
    with translated():
        store = CertificateStore(directory)
        ends = store.certificate.not_valid_after_utc
        rows = [(f"authority of {store.fleet}", "", ends, pki_expiry.validity_of_date(ends, now, warn))]
        rows.append(("list of what is revoked", "", *pki_expiry.crl_validity(store, now, warn)))
        issued = pki_expiry.issued_certificates(store, now, warn)
        rows += [(str(each.subject), f"{each.serial:x}", each.ends, each.validity) for each in issued]
    for what, serial, end, standing in rows:
        click.echo(f"{standing.value:12} until {_date(end)}  {what} {serial}".rstrip())
    if any(standing.needs_attention for *_, standing in rows):
        raise click.exceptions.Exit(1)


@command.command("broker-config")
@CA
@click.option("--broker", required=True, help="NAME that the broker's certificate was issued for.")
@click.option("-o", "--output", type=DIRECTORY, required=True, help="Folder for what is written.")
@click.option("--folder", type=PurePath, help="Where that folder will lie on the broker; default: where it is.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8883, show_default=True, help="Where the broker listens."
)
@click.option("--bind", default="", help="Address to listen on; default: all.")
def broker_config(directory: Path, broker: str, output: Path, folder: PurePath | None, port: int, bind: str) -> None:  # noqa: PLR0913, PLR0917 - as above
    """Write the configuration of mosquitto: listener, rights, authority and list of what is revoked."""
    with translated():
        store = CertificateStore(directory)
        listener = pki_broker.Listener(folder or output.absolute(), Subject(Role.BROKER, broker), port, bind)
        revoked = store.crl().public_bytes(Encoding.PEM)
        access = pki_broker.access(
            _template("mosquitto-acl.conf"), store.fleet, pki_expiry.admitted_gateways(store, datetime.now(UTC))
        )
        output.mkdir(parents=True, exist_ok=True)
        key_files.write_public(output / "ca.crt", pki_store.pem(store.certificate))
        key_files.write_public(output / "ca.crl", revoked)
        key_files.write_public(output / pki_broker.ACCESS, access.encode())
        configuration = pki_broker.configuration(_template("mosquitto.conf"), listener)
        key_files.write_public(output / pki_broker.CONFIGURATION, configuration.encode())
    click.echo(f"{output / pki_broker.CONFIGURATION}: include it in mosquitto's configuration")


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _template(name: str) -> str:
    """Read a template of systemd/, from the wheel or from the source tree."""
    packaged = files("reconciler") / "systemd" / name
    source = Path(__file__).parents[3] / "systemd" / name
    return packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")
