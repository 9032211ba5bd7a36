# SPDX-License-Identifier: Apache-2.0
"""The network of an emulated board that speaks MQTT over TLS itself: settings in flash, and options of the emulator."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import time
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from paho.mqtt.client import Client, MQTTMessage

from reconciler.devices.conversation import Answered, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.mqtt_link import MqttLink
from reconciler.devices.network_settings import TlsSettings, encode
from reconciler.devices.reports import DeviceReport
from reconciler.devices.transfer import TransferCost
from reconciler.model import DeviceId
from signing.device_credentials import DeviceCredentials
from tests.firmware.bench import Bench, Made
from tests.firmware.talk import ANSWER_S, job

WAIT_S = 60.0
SETTINGS_AT = 1 << 20  # behind the part of flash that belongs to tinyfleet
MAC = bytes.fromhex("525400123456")
#: Addresses of the emulator's own network, where the router is this machine's loopback interface.
OWN, ROUTER = IPv4Interface("10.0.2.15/24"), IPv4Address("10.0.2.2")
NETWORK = ("-nic", "user,model=lan9118")


def read_unchecked(authority: Path, certificate: Path) -> DeviceCredentials:
    """Read files of `tinyfleet pki` whether they fit or not; the key is next to the certificate."""
    key = load_pem_private_key(certificate.with_suffix(".key").read_bytes(), None)
    return DeviceCredentials(
        _der(authority),
        _der(certificate),
        key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    )


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def settings(shown: DeviceCredentials, host: str, port: int) -> bytes:
    """Return the flash content with the emulator's network, in which the router stands for this machine."""
    certificates = (shown.authority, shown.certificate, shown.key)
    return encode(TlsSettings(MAC, OWN, ROUTER, ROUTER, host, port, *certificates))


async def deliver(link: MqttLink, bench: Bench, made: Made, pack: bytes) -> tuple[Outcome, TransferCost]:
    """Update the device to a pack with the gateway's own link; return the outcome and what it took."""
    session = LinkSession(link, lambda _device, cose, nonce: made.open_signed(cose, nonce))
    running = asyncio.create_task(session.run())
    device = DeviceId(made.name)
    try:
        asked = await session.ask(device, ReportKind.REPORT)
        assert isinstance(asked, Answered), asked
        assert isinstance(asked.body, DeviceReport)
        work = job(made, bench.install(made, pack, 1), pack, asked.body, block_bytes=1024)
        return await session.update(work)
    finally:
        running.cancel()


class DeviceBehindBroker:
    """A device whose messages a client of the broker carries, one conversation step at a time (talk.py)."""

    def __init__(self, client: Client, fleet: str, name: str) -> None:
        self._client, self._topic = client, f"tinyfleet/{fleet}/{name}"
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._present: queue.Queue[bytes] = queue.Queue()
        client.on_message = self._on_message
        client.subscribe([(f"{self._topic}/up", 1), (f"{self._topic}/presence", 1)])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        into = self._heard if message.topic.endswith("/up") else self._present
        into.put(bytes(message.payload))

    def await_presence(self) -> None:
        """Wait until the device has connected, again or for the first time."""
        while self._present.get(timeout=WAIT_S) != b"1":
            pass

    def say(self, message: bytes) -> None:
        self._client.publish(f"{self._topic}/down", message, qos=1).wait_for_publish(WAIT_S)

    def ask(self, message: bytes) -> bytes | None:
        while not self._heard.empty():  # reports that nobody asked for, and late answers
            self._heard.get_nowait()
        self.say(message)
        return self.hear()

    def hear(self) -> bytes | None:
        try:
            return self._heard.get(timeout=ANSWER_S)
        except queue.Empty:
            return None

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)  # the gateway polls at this pace; there is no event to wait for


class TlsServer:
    """A server in this process that asks for a certificate of an authority, and has one of the same or of another."""

    def __init__(self, own: Path, trusted: Path, name: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = own / f"{name}.crt"
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._context.load_verify_locations(trusted / "ca.crt")
        self._context.verify_mode = ssl.CERT_REQUIRED

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.port: int = self._listener.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def accept(self) -> ssl.SSLSocket:
        """Wait for a client, and complete the handshake."""
        plain, _ = self._listener.accept()
        plain.settimeout(WAIT_S)
        return self._context.wrap_socket(plain, server_side=True)

    def handshake(self) -> str:
        """Wait for a client, and return why the handshake fails."""
        with pytest.raises(ssl.SSLError) as failed:
            self.accept()
        return str(failed.value.reason)


class Packets:
    """Cuts what arrives into packets of MQTT, whose length has two bytes."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection, self._arrived = connection, b""

    def next(self) -> bytes:
        """Return the next packet."""
        while len(self._arrived) < 3 or len(self._arrived) < self._length():
            data = self._connection.recv(4096)
            assert data, "the device has closed the connection"
            self._arrived += data
        length = self._length()
        packet, self._arrived = self._arrived[:length], self._arrived[length:]
        return packet

    def _length(self) -> int:
        return 3 + self._arrived[1] % 128 + self._arrived[2] * 128
