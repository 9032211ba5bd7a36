# SPDX-License-Identifier: Apache-2.0
"""A link to all devices behind one broker: one client and one connection in the event loop (docs/adr/0120).

While the broker is unreachable nothing is queued, because a stale question is useless, and each open question ends in
`Silent` as usual.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.devices.errors import LinkUnusable, Malformed
from reconciler.devices.link import AnswerReceived, Event, LinkState, LinkStatistics, Presence, Silent, Turn, fits
from reconciler.devices.messages import BLOCK_BYTES_MAX, Order, Question, Unanswered, encode, parse_answer
from reconciler.devices.mqtt_connection import MqttConnection
from reconciler.devices.mqtt_properties import PackedProperties, expiring
from reconciler.devices.mqtt_tls import ClientTls, certificate_ends, send_at_once
from reconciler.foreign_text import printable_line
from reconciler.model import DeviceId

ANSWER_S = 10.0  # a round trip through the broker to a device that may be busy
KEEPALIVE_S = 30
RECONNECT_S = (1, 30)
SESSION_S = 24 * 3600  # how long the broker keeps messages of devices while the gateway is offline
BLOCK_EXPIRY_S = 60
CONGESTED = 10_000  # events that wait; beyond that nothing more is read, and the broker keeps what devices send
UNKNOWN_MAX = 1000
MESSAGE_BYTES_MAX = BLOCK_BYTES_MAX + 64
PRESENT, ABSENT = b"1", b"0"
REQUEST_BYTES_MAX = 4608  # of the broker (systemd/mosquitto.conf)
TOPIC_ENDS = frozenset({"up", "down", "presence"})  # never the name of a client (signing/pki.py)
TOPIC_LEVEL = re.compile(r"[^/+#\0]+")


SERVER_LEVELS = 4  # of the topics between gateways; a device may have the name `server`
SERVER_PREFIX = "@"  # of a gateway that asks; no client has it

OnRequest = Callable[[str, bytes], None]  # who asks, and the message: the name of a client, or @ and that of a gateway
OnAnswer = Callable[[str, bytes], None]  # the name of a gateway that was asked, and its message


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The address of the broker, and the identity of the gateway there."""

    host: str
    fleet: str
    gateway: str
    port: int = 8883
    ca: Path | None = None  # None: no TLS, which is acceptable only for a broker on the same machine
    certificate: Path | None = None
    key: Path | None = None
    question_expiry_s: int = 300  # a device that reconnects later than this does not receive the question
    answer_s: float = ANSWER_S


@dataclass(slots=True)
class _OpenQuestion:
    """A question that waits for its answer."""

    question: Question
    timer: asyncio.TimerHandle


class MqttLink:
    """A `Link` over a broker."""

    answers_may_repeat = True

    def __init__(self, settings: MqttSettings, devices: Iterable[DeviceId] = ()) -> None:
        for name in (settings.fleet, settings.gateway):
            if not TOPIC_LEVEL.fullmatch(name):
                raise LinkUnusable(f"{name!r} can't be a topic level")
        self.statistics = LinkStatistics()
        self.broker_certificate_ends: datetime | None = None  # what the broker showed at the last connection
        self._devices = frozenset(devices)
        self._on_request: OnRequest | None = None
        self._on_answer: OnAnswer | None = None
        self._requests_mid: int | None = None  # of the last subscription to requests
        self.requests_refused: str | None = None  # why the broker lets no requests through
        self._settings = settings
        expiry_s = settings.question_expiry_s
        self._question_properties = expiring(expiry_s)
        self._block_properties = expiring(BLOCK_EXPIRY_S)
        self._base = f"tinyfleet/{settings.fleet}"
        self._requests = (
            f"{self._base}/request/+",
            f"{self._base}/server/{settings.gateway}/request/+",
            f"{self._base}/server/+/answer/{settings.gateway}",
        )
        self._presence = f"{self._base}/gateway/{settings.gateway}/presence"
        self._open: dict[DeviceId, _OpenQuestion] = {}
        self._pacing: dict[DeviceId, asyncio.TimerHandle] = {}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls = ClientTls(settings.ca, settings.certificate, settings.key) if settings.ca else None
        self._client = self._make_client()

    # ------------------------------------------------------------ the Link interface

    def serve(self, devices: Iterable[DeviceId]) -> None:
        """Serve these devices from now on; all others are counted as unknown."""
        self._devices = frozenset(devices)

    def serve_requests(self, on_request: OnRequest | None, on_answer: OnAnswer | None = None) -> None:
        """Hand on requests, and answers of other gateways, from now on (docs/specs/operations.md); None: stop."""
        if self._client.is_connected() and (self._on_request is None) != (on_request is None):
            if on_request is None:
                self._client.unsubscribe(list(self._requests))
            else:
                self._subscribe_to_requests()
        self._on_request, self._on_answer = on_request, on_answer

    def answer(self, asker: str, payload: bytes) -> None:
        """Publish a message to a client, or to a gateway that asked."""
        if asker.startswith(SERVER_PREFIX):
            topic = f"server/{self._settings.gateway}/answer/{asker.removeprefix(SERVER_PREFIX)}"
        else:
            topic = f"answer/{asker}"
        self._publish_to(topic, payload)

    def ask(self, server: str, payload: bytes) -> None:
        """Publish a message to another gateway that is to do the work."""
        self._publish_to(f"server/{server}/request/{self._settings.gateway}", payload)

    def _publish_to(self, topic: str, payload: bytes) -> None:
        if self._client.is_connected():
            self._client.publish(f"{self._base}/{topic}", payload, qos=1, properties=self._block_properties)

    def send(self, device: DeviceId, turn: Turn) -> None:
        """Publish a turn, with pauses between blocks if the device needs them."""
        self._publish_paced(device, deque(turn.messages), turn)

    def cancel(self, device: DeviceId) -> None:
        """Stop waiting for an answer of a device, and send it no more blocks."""
        if opened := self._open.pop(device, None):
            opened.timer.cancel()
        if pacing := self._pacing.pop(device, None):
            pacing.cancel()

    async def events(self) -> AsyncIterator[Event]:
        """Yield events."""
        while True:
            yield await self._events.get()

    def block_bytes(self, max_bytes: int) -> int:
        """Return the largest size, because TCP repairs losses."""
        return max_bytes

    async def run(self) -> None:
        """Stay connected until cancelled; reconnect when the broker disappears."""
        if self._loop is not None:
            raise RuntimeError("this link is already running")
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(
            self._settings.host,
            self._settings.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=PackedProperties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_S),
        )
        connection = MqttConnection(
            self._client, retry_s=RECONNECT_S, congested=self._congested, on_failure=self._report_failure
        )
        try:
            await connection.run()
        finally:
            if self._client.is_connected():
                self._client.publish(self._presence, ABSENT, qos=1, retain=True)
            await connection.close()
            self._loop = None

    # ------------------------------------------------------------ outgoing

    def _publish_paced(self, device: DeviceId, waiting: deque[Order], turn: Turn) -> None:
        self._pacing.pop(device, None)
        while waiting:
            order = waiting.popleft()
            if not isinstance(order, Unanswered):
                self._publish_question(device, order, turn)
                continue
            self._publish(device, order, qos=0, properties=self._block_properties)
            if turn.block_gap_s and waiting:
                loop = asyncio.get_running_loop()
                self._pacing[device] = loop.call_later(turn.block_gap_s, self._publish_paced, device, waiting, turn)
                return

    def _publish_question(self, device: DeviceId, question: Question, turn: Turn) -> None:
        if earlier := self._open.pop(device, None):
            earlier.timer.cancel()
        self.statistics.questions += 1
        wait_s = self._settings.answer_s + turn.answer_s
        timer = asyncio.get_running_loop().call_later(wait_s, self._give_up, device)
        self._open[device] = _OpenQuestion(question, timer)
        self._publish(device, question, qos=1, properties=self._question_properties)

    def _publish(self, device: DeviceId, order: Order, *, qos: int, properties: Properties) -> None:
        if not self._client.is_connected():
            return
        data = encode(order)
        self.statistics.sent_bytes += len(data)
        self._client.publish(f"{self._base}/{device}/down", data, qos=qos, properties=properties)

    def _give_up(self, device: DeviceId) -> None:
        opened = self._open.pop(device)
        self.statistics.silences += 1
        self._events.put_nowait(Silent(device, opened.question))

    # ------------------------------------------------------------ incoming

    def _congested(self) -> bool:
        return self._events.qsize() > CONGESTED

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        payload = message.payload
        levels = message.topic.removeprefix(f"{self._base}/").split("/")
        if len(levels) == SERVER_LEVELS:
            _, server, what, asker = levels
            self._take_from_server(server, what, asker, bytes(payload))
            return
        device_name, _, what = message.topic.removeprefix(f"{self._base}/").rpartition("/")
        if device_name == "request" and what not in TOPIC_ENDS:
            if self._on_request is not None and len(payload) <= REQUEST_BYTES_MAX:
                self._on_request(what, bytes(payload))
            return
        if len(payload) > MESSAGE_BYTES_MAX:
            return
        device = DeviceId(device_name)
        if device not in self._devices:
            if len(self.statistics.unknown) < UNKNOWN_MAX and payload != ABSENT:
                self.statistics.unknown.add(printable_line(device_name))
        elif what == "presence":
            if not message.retain:  # a retained one repeats, at each subscription, what has been so for long
                self._events.put_nowait(Presence(device, present=payload == PRESENT))
        else:
            self._take(device, bytes(payload))

    def _take_from_server(self, server: str, what: str, asker: str, payload: bytes) -> None:
        """Take in a message on a topic `server/<server>/<what>/<asker>`: no other that we read has four levels."""
        if len(payload) > REQUEST_BYTES_MAX:
            return
        if what == "request" and self._on_request is not None:
            self._on_request(SERVER_PREFIX + asker, payload)
        elif what == "answer" and self._on_answer is not None:
            self._on_answer(server, payload)

    def _take(self, device: DeviceId, payload: bytes) -> None:
        self.statistics.received_bytes += len(payload)
        try:
            answer = parse_answer(payload)
        except Malformed:
            self.statistics.malformed += 1
            return
        opened = self._open.get(device)
        asked = opened is not None and fits(opened.question, answer)
        if opened and asked:
            opened.timer.cancel()
            del self._open[device]
            self.statistics.answers += 1
        else:
            self.statistics.unsolicited += 1
        self._events.put_nowait(AnswerReceived(device, answer, asked=asked))

    # ------------------------------------------------------------ the connection

    def _make_client(self) -> Client:
        name = f"tinyfleet-{self._settings.gateway}"
        client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        if self._tls is not None:
            client.tls_set_context(self._tls.context)
        client.will_set(self._presence, ABSENT, qos=1, retain=True)
        client.on_pre_connect = self._on_pre_connect
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_pre_connect(self, _client: Client, _data: object) -> None:
        """In the thread that connects: read the certificate again, because it may have been renewed."""
        if self._tls is None:
            return
        try:
            self._tls.read_again()
        except LinkUnusable as unusable:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._events.put_nowait, LinkState(up=False, why=str(unusable)))

    def _on_socket_open(self, _client: Client, _data: object, opened: object) -> None:
        """In the thread that connects: prepare the socket; with TLS, its handshake is done."""
        send_at_once(opened)
        if isinstance(opened, ssl.SSLSocket):
            self.broker_certificate_ends = certificate_ends(opened)

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._events.put_nowait(LinkState(up=False, why=f"the broker refused the connection: {reason}"))
            return
        if self._on_request is not None:
            self._subscribe_to_requests()  # first, so that a link that is up takes requests
        client.subscribe([(f"{self._base}/+/up", 1), (f"{self._base}/+/presence", 1)])
        client.publish(self._presence, PRESENT, qos=1, retain=True)

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if mid == self._requests_mid:  # devices are served without it
            self.requests_refused = ", ".join(refused) or None
            return
        self._events.put_nowait(
            LinkState(up=not refused, why=", ".join(refused))
        )  # only from now on can an answer arrive

    def _subscribe_to_requests(self) -> None:
        _, self._requests_mid = self._client.subscribe([(topic, 1) for topic in self._requests])

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            self._events.put_nowait(LinkState(up=False, why=f"the connection ended: {reason}"))

    def _report_failure(self, why: str) -> None:
        self._events.put_nowait(LinkState(up=False, why=f"{self._settings.host}:{self._settings.port}: {why}"))
