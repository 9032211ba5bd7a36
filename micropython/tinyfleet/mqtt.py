# SPDX-License-Identifier: Apache-2.0
"""The link over MQTT 3.1.1 (docs/specs/protocol.md section 4): one socket, and what the agent needs of the protocol."""

import select
import socket
import time

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _PINGREQ = 1, 2, 3, 4, 8, 12
_KEEP_ALIVE_S = 60
_PACKET_MAX = 4096
_RETRY_MS = 5000
_LIMIT_S = 10  # for a packet that has begun, and for a connection


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """Return a packet with its fixed header."""
    length, head = len(body), bytearray((kind << 4 | flags,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


class MqttLink:
    """Serves the agent over a broker, and connects again whenever the connection is lost."""

    speaks_unasked = True

    def __init__(self, identity: dict, host: str, port: int, tls: object = None) -> None:
        topic = "tinyfleet/%s/%s/" % (identity["fleet"], identity["device"])
        self._name = identity["device"].encode()
        self._down, self._up, self._presence = [(topic + end).encode() for end in ("down", "up", "presence")]
        self._host, self._port, self._tls = host, port, tls
        self._socket: object = None
        self._poller: object = None
        self._sent_ms = self._tried_ms = 0
        self._tried = False
        self._number = 0

    def serve(self, agent: object, wait_ms: int) -> None:
        """Wait for a message as long as this, and answer it."""
        try:
            if self._socket is None and not self._connect(agent):
                time.sleep_ms(wait_ms)
                return
            if time.ticks_diff(time.ticks_ms(), self._sent_ms) > _KEEP_ALIVE_S * 500:
                self._send(packet(_PINGREQ, 0, b""))
            if self._poller.poll(wait_ms):
                self._handle(agent, self._receive())
        except OSError:
            self._close()

    def send(self, message: bytes) -> None:
        """Publish a message of the device."""
        if self._socket is None:
            return
        try:
            self._publish(self._up, message, retain=False)
        except OSError:
            self._close()

    def _connect(self, agent: object) -> bool:
        if self._tried and time.ticks_diff(time.ticks_ms(), self._tried_ms) < _RETRY_MS:
            return False
        self._tried, self._tried_ms = True, time.ticks_ms()
        plain = socket.socket()
        plain.settimeout(_LIMIT_S)
        stream: object = plain
        try:
            plain.connect(socket.getaddrinfo(self._host, self._port)[0][-1])
            if self._tls:
                stream = self._tls.wrap_socket(plain, server_hostname=self._host)
            self._socket = stream
            will = _text(self._presence) + _text(b"0")
            variable = _text(b"MQTT") + bytes((4, 0x02 | 0x04 | 0x08 | 0x20)) + _KEEP_ALIVE_S.to_bytes(2, "big")
            self._send(packet(_CONNECT, 0, variable + _text(self._name) + will))
            kind, _, body = self._receive()
            accepted = kind == _CONNACK and body[1:2] == b"\0"
        except OSError:
            accepted = False
        if not accepted:
            plain.close()
            self._socket = None
            return False
        self._poller = select.poll()
        self._poller.register(stream, select.POLLIN)
        self._send(packet(_SUBSCRIBE, 2, self._next_number() + _text(self._down) + b"\x01"))
        self._publish(self._presence, b"1", retain=True)
        agent.report_due = True
        return True

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _next_number(self) -> bytes:
        self._number = self._number % 65535 + 1
        return self._number.to_bytes(2, "big")

    def _publish(self, topic: bytes, message: bytes, *, retain: bool) -> None:
        self._send(packet(_PUBLISH, 2 | int(retain), _text(topic) + self._next_number() + message))

    def _send(self, data: bytes) -> None:
        view, sent = memoryview(data), 0
        while sent < len(data):
            sent += self._socket.write(view[sent:]) or 0
        self._sent_ms = time.ticks_ms()

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.read(count - len(data))
            if not more:
                raise OSError("the connection is gone")
            data += more
        return data

    def _receive(self) -> "tuple[int, int, bytes]":
        first, length, shift = self._read(1)[0], 0, 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        if length > _PACKET_MAX:
            raise OSError("a packet is too long")
        return first >> 4, first & 15, self._read(length) if length else b""

    def _handle(self, agent: object, received: "tuple[int, int, bytes]") -> None:
        kind, flags, body = received
        if kind != _PUBLISH:
            return
        at = 2 + int.from_bytes(body[:2], "big")
        if flags >> 1 & 3:
            self._send(packet(_PUBACK, 0, body[at : at + 2]))
            at += 2
        answer = agent.handle(body[at:])
        if answer:
            self._publish(self._up, answer, retain=False)
