# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates for MQTT: their content, and how they are signed (docs/pki.md).

Each fleet has one certificate authority, which certifies the brokers, the gateways, the devices and the programs that
call operations. A gateway that asks another one has a further certificate, for the broker there. The broker uses the
common name as the user name, and the user name as one level of the topics. Therefore a common name is either exactly
a device's name, or starts with a prefix that no device name can have. This module reads neither a clock nor a file.
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

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # of fleets, gateways, devices and clients, as in schemas/
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,62}[A-Za-z0-9])?")
GATEWAY_PREFIX = "@"
CLIENT_PREFIX = "~"
UPLINK_PREFIX = "^"
TOPIC_ENDS = frozenset({"up", "down", "presence"})  # of devices: `request/up` is also a topic of a device `request`
CLOCK_SKEW = timedelta(hours=1)  # a certificate is valid from a little before it was made

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey


class Role(StrEnum):
    """The role of a certificate's holder."""

    BROKER = "broker"
    GATEWAY = "gateway"
    DEVICE = "device"
    CLIENT = "client"
    UPLINK = "uplink"  # of a gateway, at the broker of another one


_PREFIXES = {Role.GATEWAY: GATEWAY_PREFIX, Role.CLIENT: CLIENT_PREFIX, Role.UPLINK: UPLINK_PREFIX}


@dataclass(frozen=True, slots=True)
class Subject:
    """The holder of a certificate; `hosts` are additional names and addresses of a broker."""

    role: Role
    name: str
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject names that could inject into topics or configuration files."""
        names = (self.name, *self.hosts)
        pattern = HOST if self.role is Role.BROKER else NAME
        if self.hosts and self.role is not Role.BROKER:
            raise KeyStoreError("only a broker can have hosts")
        for name in names:
            if not pattern.fullmatch(name):
                raise KeyStoreError(f"{name!r} is not a valid {self.role.value} name")
        if self.role is Role.CLIENT and self.name in TOPIC_ENDS:
            raise KeyStoreError(f"{self.name!r} can't be the name of a client: topics of devices end like that")

    @property
    def common_name(self) -> str:
        """The common name, which the broker uses as the user name."""
        return _PREFIXES.get(self.role, "") + self.name

    def __str__(self) -> str:
        return f"{self.role.value} {self.name}"


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The certificate of the fleet's authority, and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class ValidityPeriod:
    """When a certificate starts to be valid, and for how long."""

    now: datetime
    days: int

    @property
    def end(self) -> datetime:
        """The end of the period."""
        return self.now + timedelta(days=self.days)


def make_authority(fleet: str, key: PrivateKey, validity: ValidityPeriod) -> CertificateAuthority:
    """Make the fleet's certificate authority. It can't certify subordinate authorities."""
    if not NAME.fullmatch(fleet):
        raise KeyStoreError(f"{fleet!r} is not a valid fleet name")
    name = _distinguished_name(fleet, "MQTT authority")
    public_key = key.public_key()
    usage = _key_usage(signs_certificates=True)
    builder = _builder(name, name, public_key, validity.now, validity.end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return CertificateAuthority(builder.sign(key, digest_for(key)), key)


def certify(
    authority: CertificateAuthority, public_key: PublicKey, subject: Subject, validity: ValidityPeriod
) -> x509.Certificate:
    """Certify the key of a party, at most until the authority expires."""
    issuer = authority.certificate
    end = min(validity.end, issuer.not_valid_after_utc)
    if end <= validity.now:
        raise KeyStoreError("the authority has expired: make a new one, and reissue all certificates")
    name = _distinguished_name(fleet_of(issuer), subject.common_name)
    broker = subject.role is Role.BROKER
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if broker else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(name, issuer.subject, public_key, validity.now, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = builder.add_extension(issuer_key, critical=False)
    if broker:
        hosts = [_general_name(host) for host in dict.fromkeys((subject.name, *subject.hosts))]
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(authority.key, digest_for(authority.key))


def make_crl(
    authority: CertificateAuthority, revoked: Iterable[x509.RevokedCertificate], number: int, validity: ValidityPeriod
) -> x509.CertificateRevocationList:
    """Make the certificate revocation list. The broker rejects everyone once the list has expired."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(validity.now - CLOCK_SKEW)
        .next_update(validity.end)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, digest_for(authority.key))


def subject_of(certificate: x509.Certificate) -> Subject:
    """Read the subject of a certificate that a fleet's authority issued."""
    (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(common.value)
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.SERVER_AUTH in purposes:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return Subject(Role.BROKER, name, tuple(str(host.value) for host in names if str(host.value) != name))
    for role, prefix in _PREFIXES.items():
        if name.startswith(prefix):
            return Subject(role, name.removeprefix(prefix))
    return Subject(Role.DEVICE, name)


def fleet_of(certificate: x509.Certificate) -> str:
    """Read the fleet of a certificate."""
    (organization,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(organization.value)


def _distinguished_name(fleet: str, common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, fleet), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
