# SPDX-License-Identifier: Apache-2.0
"""A fleet's authority, the broker as `tinyfleet pki broker-config` configures it, and clients of every kind."""

from __future__ import annotations

import getpass
import queue
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from click.testing import CliRunner
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.cli import cli
from signing import passphrase_sources
from signing.broker_config import ACCESS
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from signing.pki_store import CertificateStore, Issuer
from tests import mosquitto

FLEET = "plant"
WAIT_S = 20.0
HELLO = bytes.fromhex("10 0d 0004 4d515454 04 02 003c 0001 61")  # MQTT 3.1.1 CONNECT, clean, client id "a"
ADMITTED = bytes.fromhex("20020000")


class BrokerSite:
    """Everything in one folder: `ca`, and `pki` with all certificates and the broker's configuration."""

    def __init__(self, folder: Path, kind: str, fleet: str = FLEET, *, authority: Path | None = None) -> None:
        """Make an authority, or use that of another site."""
        self.folder, self.kind, self.port = folder, kind, mosquitto.free_port()
        self.certificates = folder / "pki"
        self.authority = authority if authority is not None else folder / "ca"
        self._passphrase = folder / "passphrase"
        self._passphrase.touch(mode=0o600)
        self._passphrase.write_text("correct horse battery staple\n", encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        if authority is None:
            self.pki(f"init {self.authority} --fleet {fleet} --key {kind}")
        self.issue("broker", "localhost", "--host 127.0.0.1")

    def pki(self, line: str, *, passphrase: bool = True) -> str:
        secret = ["--passphrase-file", str(self._passphrase)] if passphrase else []
        result = CliRunner().invoke(cli, ["pki", *line.split(), *secret])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    def issue(self, role: str, name: str, more: str = "", *, folder: str = "") -> None:
        out = self.certificates / folder
        self.pki(f"issue {role} {name} --ca {self.authority} -o {out} --key {self.kind} {more}")

    def issue_in_the_past(self, name: str) -> None:
        """Issue a device's certificate that expired yesterday."""
        issuer = Issuer(CertificateStore(self.folder / "ca"), lambda: passphrase_sources.from_file(self._passphrase))
        term = ValidityPeriod(datetime.now(UTC) - timedelta(days=11), days=10)
        issuer.issue(self.certificates, Subject(Role.DEVICE, name), KeyKind(self.kind), term)

    def configure(self) -> None:
        line = f"broker-config --ca {self.authority} --broker localhost -o {self.certificates}"
        self.pki(f"{line} --port {self.port} --bind 127.0.0.1", passphrase=False)

    def start(self) -> None:
        """Start the broker with exactly the configuration that the command writes."""
        self.configure()
        main = self.folder / "mosquitto.conf"
        main.write_text(f"user {getpass.getuser()}\nlog_type none\ninclude_dir {self.certificates}\n", encoding="utf-8")
        self._process = mosquitto.start(main, self.port)

    def stop(self) -> None:
        if self._process:
            mosquitto.stop(self._process)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        """Write the configuration again and have the broker read it; connections stay open."""
        self.configure()
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def watcher(self, name: str) -> MqttParty:
        """Connect a client that hears everything, as no certificate of a fleet allows."""
        self.issue("client", name)
        self.configure()
        with (self.certificates / ACCESS).open("a", encoding="ascii") as access:
            access.write(f"user {Subject(Role.CLIENT, name).common_name}\ntopic read #\n")
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        party = self.client(name)
        assert party.subscribe("#") == "Granted QoS 1"
        return party

    def context(self, name: str | None, folder: Path | None = None) -> ssl.SSLContext:
        """Return a TLS context with a certificate; None: without one."""
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        if name is not None:
            where = folder or self.certificates
            context.load_cert_chain(where / f"{name}.crt", where / f"{name}.key")
        return context

    def connect(self, context: ssl.SSLContext) -> str:
        """Try to connect: "admitted", or the broker's reason. TLS 1.2 and TLS 1.3 must agree."""
        newest, context.maximum_version = self.attempt(context), ssl.TLSVersion.TLSv1_2
        answer = self.attempt(context)
        assert (newest == "admitted") == (answer == "admitted")
        return answer  # in TLS 1.3 the refusal follows the handshake, and may be lost with the connection

    def attempt(self, context: ssl.SSLContext) -> str:
        """Try to connect once."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(HELLO)
                return "admitted" if connection.recv(4) == ADMITTED else "refused by MQTT"
        except ssl.SSLError as error:
            return str(error.reason).lower()
        except ConnectionError:
            return "connection lost"

    def client(self, name: str) -> MqttParty:
        return MqttParty(self.context(name), self.port)


class MqttParty:
    """A connected client, with queues for the messages that reach it and for the broker's answers."""

    def __init__(self, context: ssl.SSLContext, port: int, *, client_id: str = "", lasting: bool = False) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._answers: queue.Queue[ReasonCode] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_message = self._on_message
        self.client.on_publish = lambda _client, _data, _mid, reason, _more: self._answers.put(reason)
        self.client.on_subscribe = lambda _client, _data, _mid, reasons, _more: self._answers.put(reasons[0])
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda _client, _data, _flags, reason, _more: self._answers.put(reason)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        session.SessionExpiryInterval = 3600 if lasting else 0
        self.client.connect("localhost", port, clean_start=not lasting, properties=session)
        self.client.loop_start()
        assert not self._answers.get(timeout=WAIT_S).is_failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        mosquitto.disconnect(self.client)

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        self._answers.put(reason)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.put((message.topic, bytes(message.payload)))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        """Publish, and return the broker's answer."""
        return self._answer(lambda: self.client.publish(topic, payload, qos=1, retain=retain))

    def subscribe(self, topic: str) -> str:
        """Subscribe, and return the broker's answer."""
        return self._answer(lambda: self.client.subscribe(topic, 1))

    def _answer(self, act: Callable[[], object]) -> str:
        act()
        return str(self._answers.get(timeout=WAIT_S))

    def next(self) -> tuple[str, bytes]:
        return self.heard.get(timeout=WAIT_S)
