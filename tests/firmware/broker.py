# SPDX-License-Identifier: Apache-2.0
"""A real broker, plain or with TLS and client certificates, and the little certification authority it needs."""

from __future__ import annotations

import datetime as dt
import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

START_S = 10.0


class Authority:
    """Signs certificates for one test; CA, broker and devices, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        self._write("ca", self._key, self._certificate("test authority", self._key, ca=True))

    def issue(self, name: str) -> None:
        """Write <name>.crt and <name>.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, key, self._certificate(name, key, ca=False))

    def _certificate(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        pem = serialization.Encoding.PEM
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{name}.key").write_bytes(private)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Broker:
    """A mosquitto process on a free port of this machine, or on the one where a former one was."""

    def __init__(self, folder: Path, authority: Authority | None = None, *, port: int = 0) -> None:
        self.authority = authority
        self.port = port or _free_port()
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_type error", "max_connections -1"]
        lines.append(
            f"user {getpass.getuser()}"
        )  # started by root it would else become somebody who may read nothing here
        if authority is None:
            lines.append("allow_anonymous true")
        else:
            authority.issue("localhost")
            lines += [
                f"cafile {authority.folder / 'ca.crt'}",
                f"certfile {authority.folder / 'localhost.crt'}",
                f"keyfile {authority.folder / 'localhost.key'}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        configuration = folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(configuration)])
        self._await_listener()

    def _await_listener(self) -> None:
        ends = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=START_S).close()
            except ConnectionRefusedError:
                assert time.monotonic() < ends, "the broker does not listen"
                time.sleep(0.02)  # a port that begins to listen tells nobody
            else:
                return

    def client(self) -> mqtt.Client:
        """A connected client with its own thread; end it with `disconnect` and `loop_stop`."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if self.authority is not None:
            self.authority.issue("gateway")
            folder = self.authority.folder
            client.tls_set(str(folder / "ca.crt"), str(folder / "gateway.crt"), str(folder / "gateway.key"))
        client.connect("localhost", self.port)
        client.loop_start()
        return client

    def stop(self) -> None:
        """End the broker."""
        self._process.terminate()
        self._process.wait(START_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
