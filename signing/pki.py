# SPDX-License-Identifier: Apache-2.0
"""X.509 for MQTT: what the fleet's certificates say (docs/pki.md).

One authority per fleet, and below it the broker, the gateways and the devices. The broker takes the common name for
the user's name, and the user's name for a part of the topics, so a common name is a device's name and nothing else, or
begins with a mark that no device's name can have. Nothing here reads a clock or a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.key_files import KeyStoreError
from signing.pki_keys import PrivateKey, digest_for

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # of fleets, gateways and devices: schemas/
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,62}[A-Za-z0-9])?")
GATEWAY_MARK = "@"
CLOCKS_DIFFER = timedelta(hours=1)  # a certificate counts from a little before it was made

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey


class Role(StrEnum):
    """What the holder of a certificate is."""

    BROKER = "broker"
    GATEWAY = "gateway"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for; `hosts` are the further names and addresses of a broker."""

    role: Role
    name: str
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that could reach into topics or configuration files of others."""
        names = (self.name, *self.hosts)
        pattern = HOST if self.role is Role.BROKER else NAME
        if self.hosts and self.role is not Role.BROKER:
            raise KeyStoreError("only a broker has hosts")
        for name in names:
            if not pattern.fullmatch(name):
                raise KeyStoreError(f"{name!r} can't be the name of a {self.role.value}")

    @property
    def common_name(self) -> str:
        """What the broker knows the holder by."""
        return f"{GATEWAY_MARK}{self.name}" if self.role is Role.GATEWAY else self.name

    def __str__(self) -> str:
        return f"{self.role.value} {self.name}"


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The fleet's certificate and the key to it."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class ValidityPeriod:
    """From when on, and for how long."""

    now: datetime
    days: int

    @property
    def end(self) -> datetime:
        """The last moment."""
        return self.now + timedelta(days=self.days)


def make_authority(fleet: str, key: PrivateKey, term: ValidityPeriod) -> CertificateAuthority:
    """Make the fleet's authority; it can't make others below itself."""
    if not NAME.fullmatch(fleet):
        raise KeyStoreError(f"{fleet!r} can't be the name of a fleet")
    name = _distinguished(fleet, "MQTT authority")
    public_key = key.public_key()
    usage = _usage(signs_certificates=True)
    builder = _begun(name, name, public_key, term.now, term.end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return CertificateAuthority(builder.sign(key, digest_for(key)), key)


def certify(authority: CertificateAuthority, public_key: PublicKey, subject: Subject, term: ValidityPeriod) -> x509.Certificate:
    """Say that a key belongs to a broker, a gateway or a device; never for longer than the authority lasts."""
    issuer = authority.certificate
    end = min(term.end, issuer.not_valid_after_utc)
    if end <= term.now:
        raise KeyStoreError("the authority has expired: make a new one, and all certificates anew")
    name = _distinguished(fleet_of(issuer), subject.common_name)
    broker = subject.role is Role.BROKER
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if broker else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _begun(name, issuer.subject, public_key, term.now, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    known_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = builder.add_extension(known_by, critical=False)
    if broker:
        hosts = [_general(host) for host in dict.fromkeys((subject.name, *subject.hosts))]
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(authority.key, digest_for(authority.key))


def revocations(
    authority: CertificateAuthority, revoked: Iterable[x509.RevokedCertificate], number: int, term: ValidityPeriod
) -> x509.CertificateRevocationList:
    """Make the list of what no longer counts; the broker asks for a new one when its time is over."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(term.now - CLOCKS_DIFFER)
        .next_update(term.end)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, digest_for(authority.key))


def subject_of(certificate: x509.Certificate) -> Subject:
    """Read whom a certificate of ours is for."""
    (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(common.value)
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.SERVER_AUTH in purposes:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return Subject(Role.BROKER, name, tuple(str(host.value) for host in names if str(host.value) != name))
    if name.startswith(GATEWAY_MARK):
        return Subject(Role.GATEWAY, name.removeprefix(GATEWAY_MARK))
    return Subject(Role.DEVICE, name)


def fleet_of(certificate: x509.Certificate) -> str:
    """Read which fleet a certificate is of."""
    (organization,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(organization.value)


def _distinguished(fleet: str, common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, fleet), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
