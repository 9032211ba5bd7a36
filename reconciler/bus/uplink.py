# SPDX-License-Identifier: Apache-2.0
"""A connection to the broker of another gateway: requests go there, and its answers come back (docs/adr/0182).

While it is down nothing is queued: a gateway repeats a request until there is an answer.
For the event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.devices.errors import LinkUnusable
from reconciler.devices.mqtt_connection import MqttConnection
from reconciler.devices.mqtt_link import REQUEST_BYTES_MAX
from reconciler.devices.mqtt_properties import expiring
from reconciler.devices.mqtt_tls import ClientTls, send_at_once
from reconciler.foreign_text import printable_line

KEEPALIVE_S = 10  # a line that carries nothing any more is noticed within one and a half of these
RECONNECT_S = (1, 10)
EXPIRY_S = 10  # by then a message has been repeated
UNSENT_MAX = 4096  # messages; what is sent beyond that is lost, as on a line that is down

OnAnswer = Callable[[str, bytes], None]  # the name of the gateway, and its message


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Another gateway, and its broker."""

    gateway: str
    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    keepalive_s: int = KEEPALIVE_S


class Uplink:
    """The connection, in the name of the gateway `own`."""

    def __init__(
        self, fleet: str, own: str, settings: UplinkSettings, on_answer: OnAnswer, on_change: Callable[[], None]
    ) -> None:
        self.trouble: str | None = None  # why nothing passes; None: it does, or is about to for the first time
        base = f"tinyfleet/{fleet}/server/{settings.gateway}"
        self._requests, self._answers = f"{base}/request/{own}", f"{base}/answer/{own}"
        self._settings, self._on_answer, self._on_change = settings, on_answer, on_change
        self._ready = False  # answers would arrive
        self._unsent: deque[MQTTMessageInfo] = deque()
        self._loop = asyncio.get_running_loop()
        self._tls: ClientTls | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"tinyfleet-uplink-{own}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_pre_connect = self._on_pre_connect
        self._client.on_socket_open = lambda _client, _data, opened: send_at_once(opened)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def ask(self, payload: bytes) -> None:
        """Send a message, if there is a connection that takes it."""
        while self._unsent and self._unsent[0].is_published():
            self._unsent.popleft()
        if self._ready and len(self._unsent) < UNSENT_MAX:
            self._unsent.append(self._client.publish(self._requests, payload, properties=expiring(EXPIRY_S)))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        connection = MqttConnection(self._client, retry_s=RECONNECT_S, congested=lambda: False, on_failure=self._failed)
        while True:
            try:
                await asyncio.to_thread(self._set_up_tls)
                break
            except LinkUnusable as unusable:  # the files may come later
                self._note(str(unusable))
                await asyncio.sleep(RECONNECT_S[1])
        self._client.connect_async(self._settings.host, self._settings.port, keepalive=self._settings.keepalive_s)
        try:
            await connection.run()
        finally:
            await connection.close()

    def _set_up_tls(self) -> None:
        self._tls = ClientTls(self._settings.ca, self._settings.certificate, self._settings.key)
        self._client.tls_set_context(self._tls.context)

    # ------------------------------------------------------------ in the thread that connects

    def _on_pre_connect(self, _client: Client, _data: object) -> None:
        """Read the certificate again, because it may have been renewed."""
        try:
            if self._tls is not None:
                self._tls.read_again()
        except LinkUnusable as unusable:
            self._loop.call_soon_threadsafe(self._note, str(unusable))

    # ------------------------------------------------------------ in the event loop

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            self._note(f"the broker refused the connection: {reason}")
            return
        self._unsent.clear()
        client.subscribe(self._answers)

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _more: Properties | None
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._ready = not refused
        self._note(f"the broker refuses the subscription to answers: {', '.join(refused)}" if refused else None)

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        self._ready = False
        if reason.is_failure:
            self._note(f"the connection ended: {reason}")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == self._answers and len(message.payload) <= REQUEST_BYTES_MAX:
            self._on_answer(self._settings.gateway, bytes(message.payload))

    def _failed(self, why: str) -> None:
        self._note(f"{self._settings.host}:{self._settings.port}: {printable_line(why)}")

    def _note(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._on_change()
