# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster that only speaks TLS: a scheduler and a worker as processes, with certificates of one authority."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reconciler.config import ClusterConfig

STARTS_WITHIN_S = 120


class Authority:
    """Certifies the members of one cluster."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("cluster")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(self._name, self._name, self._key).add_extension(constraints, critical=True)
        self.path = folder / "ca.pem"
        self.path.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def member(self, name: str, scheduler: str = "") -> ClusterConfig:
        """Return the settings of a member, with a certificate and a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        made = _builder(self._name, _name(name), key).add_extension(names, critical=False)
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return ClusterConfig(scheduler, self.path, certificate, secret)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


@contextmanager
def tls_cluster(authority: Authority, folder: Path) -> Iterator[str]:
    """Run a scheduler and a worker, and yield the scheduler's address."""
    found = folder / "scheduler.json"
    with ExitStack() as running:
        _start(running, "scheduler", authority, "--host", "tls://127.0.0.1", "--port", "0", "--scheduler-file", found)
        address: str = json.loads(_written(found))["address"]
        _start(running, "worker", authority, address, "--nthreads", "1", "--no-nanny", "--local-directory", folder)
        yield address


def _start(running: ExitStack, what: str, authority: Authority, *arguments: object) -> None:
    own = authority.member(what)
    tls = ("--tls-ca-file", own.ca, "--tls-cert", own.certificate, "--tls-key", own.key)
    command = (sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *tls, *arguments)
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.callback(process.wait)
    running.callback(process.kill)


def _written(path: Path) -> bytes:
    """Return the content of a file that another process writes when it is ready."""
    end = time.monotonic() + STARTS_WITHIN_S
    while not (path.exists() and path.read_bytes().rstrip().endswith(b"}")):
        if time.monotonic() > end:
            raise TimeoutError(f"no {path.name} within {STARTS_WITHIN_S} s")
        time.sleep(0.05)
    return path.read_bytes()
