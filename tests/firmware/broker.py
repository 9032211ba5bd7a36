# SPDX-License-Identifier: Apache-2.0
"""A real broker, plain or with TLS and client certificates, and a small certificate authority for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from signing import pki, pki_keys, pki_store, private_key_pem
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from tests.mosquitto import base_configuration, free_port, start, stop


class Authority:
    """Signs certificates for one test; CA, broker and devices, in one folder. It lives in memory only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._term = ValidityPeriod(datetime.now(UTC), days=1)
        self._authority = pki.make_authority("plant", pki_keys.generate(KeyKind.P256), self._term)
        (folder / "ca.crt").write_bytes(pki_store.pem(self._authority.certificate))

    def issue(self, name: str) -> None:
        """Write <name>.crt and <name>.key."""
        key = pki_keys.generate(KeyKind.P256)
        role = Role.BROKER if name == "localhost" else Role.DEVICE
        certificate = pki.certify(self._authority, key.public_key(), Subject(role, name), self._term)
        (self.folder / f"{name}.crt").write_bytes(pki_store.pem(certificate))
        (self.folder / f"{name}.key").unlink(missing_ok=True)
        private_key_pem.save(key, self.folder / f"{name}.key", None)


class Broker:
    """A mosquitto process on a free port of this machine, or on the port of a previous one."""

    def __init__(self, folder: Path, authority: Authority | None = None, *, port: int = 0) -> None:
        self.authority = authority
        self.port = port or free_port()
        lines = [
            *base_configuration(self.port),
            "persistence false",
            "max_connections -1",
            "max_queued_messages 0",
        ]
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
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        """Run it, again if it was stopped."""
        self._process = start(self._configuration, self.port)

    def client(self, name: str = "gateway") -> mqtt.Client:
        """A connected client with its own thread; end it with `mosquitto.disconnect`."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if self.authority is not None:
            self.authority.issue(name)
            folder = self.authority.folder
            client.tls_set(str(folder / "ca.crt"), str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
        client.connect("localhost", self.port)
        client.loop_start()
        return client

    def stop(self) -> None:
        """End the broker."""
        stop(self._process)
