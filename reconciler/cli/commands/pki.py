# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pki`: certificates for broker, gateways and devices, and the broker's configuration (docs/pki.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path, PurePath

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler.cli import terminal
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import DIRECTORY, FILE, out_option, output_option
from reconciler.cli.inputs.passphrase import passphrase_from, with_passphrase
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.pki_device_settings import device_settings
from reconciler.cli.result import print_result
from reconciler.cli.verbosity import note
from reconciler.cli.views.table import table
from reconciler.report.expiry import EXPIRES_SOON
from signing import broker_config as broker_files
from signing import key_files, pki_expiry, pki_store
from signing.key_files import KeyStoreError
from signing.pki import Role, Subject, ValidityPeriod, subject_of
from signing.pki_keys import KeyKind
from signing.pki_store import CertificateStore, Issuer

CA_DAYS, CRL_DAYS = 7300, 365
DAYS = {Role.BROKER: 730, Role.GATEWAY: 730, Role.DEVICE: 3650, Role.CLIENT: 730, Role.UPLINK: 730}
MAX_DAYS = 36500
WARN_DAYS = EXPIRES_SOON.days
CA = click.option("--ca", "directory", type=DIRECTORY, required=True, help="Directory of the certificate authority.")
KIND = click.option(
    "--key",
    "kind",
    type=click.Choice(KeyKind, case_sensitive=False),
    default=KeyKind.P256.value,
    show_default=True,
    help="Type of the key.",
)
ROLE = click.argument("role", type=click.Choice(Role, case_sensitive=False))


def _days(option: str, default: int | None, meaning: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        option, type=click.IntRange(1, MAX_DAYS), default=default, show_default=default is not None, help=meaning
    )


def _term(days: int) -> ValidityPeriod:
    return ValidityPeriod(datetime.now(UTC), days)


def _issuer(directory: Path, passphrase_file: Path | None, passphrase_fd: int | None) -> Issuer:
    return Issuer(CertificateStore(directory), passphrase_from(passphrase_file, passphrase_fd))


@dataclass(frozen=True, slots=True)
class IssuedFile:
    """A certificate that was written."""

    subject: str
    path: Path
    ends: datetime


@contextmanager
def _printed(output: str) -> Iterator[list[IssuedFile]]:
    """Print the certificates that were written, also if a later one fails."""
    issued: list[IssuedFile] = []
    try:
        yield issued
    finally:
        fields = [
            {"subject": each.subject, "file": str(each.path), "notAfter": each.ends.isoformat()} for each in issued
        ]
        text = "\n".join(f"{each.subject}: {each.path}, valid until {_date(each.ends)}" for each in issued)
        if issued:
            print_result(output, fields, text)


@click.group(cls=OrderedGroup)
def command() -> None:
    """Manage the TLS certificates for MQTT: issue, renew and revoke them, and configure the broker."""


@command.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--fleet", metavar="NAME", required=True, help="Name of the fleet.")
@KIND
@_days("--days", CA_DAYS, "Validity of the authority in days; no certificate outlives it.")
@_days("--crl-days", CRL_DAYS, "Validity of the revocation list in days.")
@with_passphrase
@output_option
def init(  # noqa: PLR0913, PLR0917 - one parameter for each option
    directory: Path,
    fleet: str,
    kind: KeyKind,
    days: int,
    crl_days: int,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Create the certificate authority of the fleet.

    Writes the certificate and the encrypted key to DIRECTORY.
    """
    with translated():
        passphrase = passphrase_from(passphrase_file, passphrase_fd, new=True)()
        store = pki_store.init(directory, fleet, kind, passphrase, (_term(days), _term(crl_days)))
    end = store.certificate.not_valid_after_utc
    fields = {"fleet": store.fleet, "directory": str(directory), "notAfter": end.isoformat()}
    text = f"created the certificate authority of {store.fleet} in {directory}, valid until {_date(end)}"
    print_result(output, fields, text)


@command.command()
@ROLE
@click.argument("names", nargs=-1, required=True)
@CA
@out_option("Folder to write NAME.key, NAME.crt and ca.crt to.", folder=True, required=True)
@KIND
@_days("--days", None, "Validity in days. [default: 730; 3650 for devices]")
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="Additional name or address of the broker, besides NAME. Repeatable.",
)
@click.option(
    "--csr", type=FILE, help="Certificate request (PKCS#10) for a single NAME; the private key stays where it is."
)
@with_passphrase
@output_option
def issue(  # noqa: PLR0913, PLR0917 - one parameter for each option
    role: Role,
    names: tuple[str, ...],
    directory: Path,
    out: Path,
    kind: KeyKind,
    days: int | None,
    hosts: tuple[str, ...],
    csr: Path | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Issue certificates with their keys.

    NAMES are those of the fleet repository; a broker has its host name.
    """
    if csr is not None and len(names) != 1:
        raise click.UsageError("--csr takes exactly one NAME")
    with translated(), _printed(output) as issued:
        subjects = [Subject(role, name, hosts) for name in names]  # check all names before anything is issued
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        for subject in subjects:
            term = _term(days or DAYS[role])
            if csr is None:
                made = issuer.issue(out, subject, kind, term)
            else:
                made = issuer.issue_for_csr(csr, out / f"{subject.name}.crt", subject, term)
            issued.append(IssuedFile(str(subject), out / f"{subject.name}.crt", made.not_valid_after_utc))
    if role in {Role.GATEWAY, Role.CLIENT, Role.UPLINK}:
        note(f"run `tinyfleet pki broker-config` again, so that the broker knows the {role.value}")


@command.command()
@click.argument("certificates", type=FILE, nargs=-1)
@CA
@out_option("Folder to write to, without CERTIFICATES.", folder=True)
@_days("--within", WARN_DAYS, "Without CERTIFICATES: renew what expires within this many days.")
@_days("--days", None, "Validity in days. [default: 730; 3650 for devices]")
@_days("--crl-days", CRL_DAYS, "Validity of the revocation list in days.")
@with_passphrase
@output_option
def renew(  # noqa: PLR0913, PLR0917 - one parameter for each option
    certificates: tuple[Path, ...],
    directory: Path,
    out: Path | None,
    within: int,
    days: int | None,
    crl_days: int,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Renew certificates for the same keys and names.

    Without CERTIFICATES, renew everything that expires soon, also the revocation list, and write it to --out. Run this
    from a timer: it does nothing as long as nothing is due.
    """
    if (out is None) != bool(certificates):
        raise click.UsageError("pass either CERTIFICATES, or --out to renew everything that expires soon")
    with translated(), _printed(output) as renewed:
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        now, warn = datetime.now(UTC), timedelta(days=within)
        if out is not None and pki_expiry.crl_validity(issuer.store, now, warn)[1].needs_attention:
            issuer.renew_crl(_term(crl_days))
        for old, path in _to_renew(issuer.store, certificates, out, now, warn):
            subject = subject_of(old)
            made = issuer.renew_certificate(old, path, _term(days or DAYS[subject.role]))
            renewed.append(IssuedFile(str(subject), path, made.not_valid_after_utc))
        if out is not None:
            _copy_crl(issuer.store, out, renewed)
    if out is not None and not renewed:
        note("nothing is due")
    elif out is not None:
        note("install the new files: docs/pki.md, Renewal")


def _to_renew(
    store: CertificateStore, certificates: tuple[Path, ...], out: Path | None, now: datetime, warn: timedelta
) -> list[tuple[x509.Certificate, Path]]:
    """Return each certificate with the file for its successor; without `out`, that is the file that was named."""
    if out is None:
        return [(store.read_issued(path), path) for path in certificates]
    due = [(each, out / f"{subject_of(each).name}.crt") for each in pki_expiry.due_certificates(store, now, warn)]
    twice = sorted(path.name for path, count in Counter(path for _, path in due).items() if count > 1)
    if twice:
        raise KeyStoreError(f"several certificates would be written to {', '.join(twice)}: renew them one by one")
    return due


def _copy_crl(store: CertificateStore, out: Path, renewed: list[IssuedFile]) -> None:
    """Write the revocation list, if the folder does not have it yet; also after a run that was interrupted."""
    crl, path = store.crl(), out / pki_store.CRL
    content = crl.public_bytes(Encoding.PEM)
    if path.exists() and path.read_bytes() == content:
        return
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_files.write_public(path, content)
    renewed.append(IssuedFile("revocation list", path, crl.next_update_utc or datetime.now(UTC)))


@command.command()
@ROLE
@click.argument("names", nargs=-1, required=True)
@CA
@_days("--crl-days", CRL_DAYS, "Validity of the new revocation list in days.")
@with_passphrase
@output_option
def revoke(  # noqa: PLR0913, PLR0917 - one parameter for each option
    role: Role,
    names: tuple[str, ...],
    directory: Path,
    crl_days: int,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
    output: str,
) -> None:
    """Revoke all certificates of the given names."""
    with translated():
        issuer = _issuer(directory, passphrase_file, passphrase_fd)
        issued = [subject_of(each) for each in issuer.store.issued()]
        for name in names:
            require_known(role.value, name, {each.name for each in issued if each.role is role})
        revoked = [
            (name, f"{serial:x}") for name in names for serial in issuer.revoke(Subject(role, name), _term(crl_days))
        ]
    fields = [{"role": role.value, "name": name, "serial": serial} for name, serial in revoked]
    text = "\n".join(f"revoked {role.value} {name}, serial number {serial}" for name, serial in revoked)
    print_result(output, fields, text)
    note("run `tinyfleet pki broker-config` again and restart the broker; until then the revoked clients can connect")


@command.command("crl")
@CA
@_days("--crl-days", CRL_DAYS, "Validity of the new revocation list in days.")
@with_passphrase
def renew_crl(directory: Path, crl_days: int, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Renew the revocation list before it expires. With an expired list the broker rejects all clients."""
    with translated():
        _issuer(directory, passphrase_file, passphrase_fd).renew_crl(_term(crl_days))
    note("run `tinyfleet pki broker-config` again and restart the broker")


@command.command()
@click.argument("directory", type=DIRECTORY)
@_days("--warn-days", WARN_DAYS, "Warn about certificates that expire within this many days.")
@output_option
def show(directory: Path, warn_days: int, output: str) -> None:
    """List the issued certificates with their state. Exits with 1 if one has expired or expires soon."""
    now, warn = datetime.now(UTC), timedelta(days=warn_days)
    with translated():
        store = CertificateStore(directory)
        ends = store.certificate.not_valid_after_utc
        rows = [(f"certificate authority of {store.fleet}", "", ends, pki_expiry.validity_of_date(ends, now, warn))]
        rows.append(("revocation list", "", *pki_expiry.crl_validity(store, now, warn)))
        issued = pki_expiry.issued_certificates(store, now, warn)
        rows += [(str(each.subject), f"{each.serial:x}", each.ends, each.validity) for each in issued]
    if output == "json":
        fields = [
            {"subject": subject, "serial": serial or None, "notAfter": end.isoformat(), "state": state.value}
            for subject, serial, end, state in rows
        ]
        click.echo(json.dumps(fields, indent=2))
    else:
        lines = [(state.value, _date(end), subject, serial) for subject, serial, end, state in rows]
        headings = ("state", "until", "subject", "serial number")
        terminal.print_lines(table(headings, lines, terminal.terminal_width()))
    if any(validity.needs_attention for *_, validity in rows):
        raise click.exceptions.Exit(1)


@command.command("broker-config")
@CA
@click.option("--broker", metavar="NAME", required=True, help="Name in the broker's certificate.")
@out_option("Folder to write to.", folder=True, required=True)
@click.option("--folder", type=PurePath, help="Path of that folder on the broker. [default: the same path]")
@click.option("--port", type=click.IntRange(1, 65535), default=8883, show_default=True, help="Port of the broker.")
@click.option("--bind", metavar="ADDRESS", default="", help="Address to listen on. [default: all]")
def broker_config(  # noqa: PLR0913, PLR0917 - as above
    directory: Path,
    broker: str,
    out: Path,
    folder: PurePath | None,
    port: int,
    bind: str,
) -> None:
    """Write the configuration of mosquitto.

    It has the listener, the access rules, the certificate authority and the revocation list.
    """
    with translated():
        store = CertificateStore(directory)
        listener = broker_files.Listener(folder or out.absolute(), Subject(Role.BROKER, broker), port, bind)
        revoked = store.crl().public_bytes(Encoding.PEM)
        now = datetime.now(UTC)
        admitted = (pki_expiry.admitted(store, role, now) for role in (Role.GATEWAY, Role.CLIENT, Role.UPLINK))
        access = broker_files.access(_template("mosquitto-acl.conf"), store.fleet, *admitted)
        out.mkdir(parents=True, exist_ok=True)
        key_files.write_public(out / "ca.crt", pki_store.pem(store.certificate))
        key_files.write_public(out / "ca.crl", revoked)
        key_files.write_public(out / broker_files.ACCESS, access.encode())
        configuration = broker_files.configuration(_template("mosquitto.conf"), listener)
        key_files.write_public(out / broker_files.CONFIGURATION, configuration.encode())
    click.echo(f"{out / broker_files.CONFIGURATION}: include this file in the configuration of mosquitto")


def _date(timestamp: datetime) -> str:
    return f"{timestamp:%Y-%m-%d}"


def _template(name: str) -> str:
    """Read a template of systemd/, from the wheel or the source tree."""
    packaged = files("reconciler") / "systemd" / name
    source = Path(__file__).parents[3] / "systemd" / name
    return packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")


command.add_command(device_settings)
