# SPDX-License-Identifier: Apache-2.0
"""Calls operations of a gateway from a Python program (docs/functions.md).

    settings = ClientSettings("broker.plant.example", "plant", "line-tool", ca=..., certificate=..., key=...)
    with OperationClient(settings) as client:
        rms = client.call("features.rms", window.tobytes())

An `OperationClient` may be used by several threads. It asks again until it has an answer, which is safe: a call runs at
most once.
"""

from __future__ import annotations

import math
import queue
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.bus.advertised import AdvertisedOperation, read_document
from reconciler.bus.asking import Asking
from reconciler.bus.fleet_changes import CHANGE, ProposedCommit, encode_wish, read_commit
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, TakenMessage, encode, parse
from reconciler.devices.errors import Malformed
from reconciler.devices.mqtt_properties import expiring
from reconciler.errors import Unusable
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor, digest
from reconciler.operations.limits import CALL_BYTES, DATA_BYTES_MAX, DEADLINE_MS_MAX

__all__ = [
    "AdvertisedOperation",
    "BrokerUnreachable",
    "ClientSettings",
    "OperationClient",
    "OperationResult",
    "ProposedCommit",
]

CONNECT_S = 10.0
LATE_S = 1.0  # after its deadline, an answer may still be on its way


class BrokerUnreachable(Unusable):
    """The broker can't be reached, or refuses this client."""

    reason: ClassVar[str] = "BrokerUnreachable"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The broker, and who asks: the files are those of `tinyfleet pki issue client`."""

    host: str
    fleet: str
    client: str
    port: int = 8883
    ca: Path | None = None  # None: no TLS, which is acceptable only for a broker on the same machine
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How a call ended well."""

    data: bytes
    node: str
    microseconds: int  # on the gateway
    taken_s: float | None  # from the request to its first acknowledgement


class OperationClient:
    """A connection to the broker, and the calls that wait for answers."""

    def __init__(self, settings: ClientSettings) -> None:
        self._base = f"tinyfleet/{settings.fleet}"
        self._settings = settings
        self._waiting: dict[bytes, queue.SimpleQueue[BusMessage | None]] = {}  # None: the connection was lost
        self._listed: dict[str, AdvertisedOperation] = {}
        self._ready = threading.Event()
        self._refused = ""
        self._client = self._made()

    def __enter__(self) -> Self:
        """Connect."""
        try:
            self._client.connect(self._settings.host, self._settings.port)
        except OSError as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise BrokerUnreachable(f"can't connect to {where}: {error}") from error
        self._client.loop_start()
        if not self._ready.wait(CONNECT_S) or self._refused:
            self.close()
            raise BrokerUnreachable(self._refused or f"the broker did not answer within {CONNECT_S:g} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.close()

    def close(self) -> None:
        """Disconnect. Calls in progress end with their deadlines."""
        self._client.disconnect()
        self._client.loop_stop()

    def call(
        self,
        operation: str,
        data: bytes = b"",
        *,
        what: DataDescriptor | None = None,
        timeout_s: float = 10.0,
        call: bytes | None = None,
    ) -> bytes:
        """Call an operation and return its outputs, or raise `OperationFailed`.

        `what` describes the data; without it, the data is taken for what the operation lists. `call` names a call of
        before whose answer was lost: it does not run a second time.
        """
        return self.perform(operation, data, what=what, timeout_s=timeout_s, call=call).data

    def perform(
        self,
        operation: str,
        data: bytes = b"",
        *,
        what: DataDescriptor | None = None,
        timeout_s: float = 10.0,
        call: bytes | None = None,
    ) -> OperationResult:
        """Call an operation, and return how it went."""
        if len(data) > DATA_BYTES_MAX:
            raise OperationFailed(AnswerCode.TOO_LARGE, f"{len(data)} bytes are more than {DATA_BYTES_MAX}")
        expected = what if what is not None else self._listed_inputs(operation, timeout_s)
        deadline_ms = max(1, min(DEADLINE_MS_MAX, round(timeout_s * 1000)))
        number = call if call is not None else secrets.token_bytes(CALL_BYTES)
        return self._exchange(AskMessage(number, operation, expected, deadline_ms, None), data)

    def propose_change(
        self, kind: str, name: str, values: Mapping[tuple[str, ...], str | float | None], *, timeout_s: float = 60.0
    ) -> ProposedCommit:
        """Return the commit that would set these fields of a document; Git changes only when a person merges it.

        A field is its path: `{("spec", "suspend"): True}`. None removes one.
        """
        wish = encode_wish(kind, name, values)
        try:
            return read_commit(self.call(CHANGE, wish, timeout_s=timeout_s))
        except Malformed as malformed:
            raise OperationFailed(AnswerCode.FUNCTION_FAILED, str(malformed)) from malformed

    def operations(self, *, timeout_s: float = 10.0) -> Sequence[AdvertisedOperation]:
        """Return what the gateway offers, and what gateways can do that it asks."""
        data = self.perform("node.inspect", what=DataDescriptor(), timeout_s=timeout_s).data
        try:
            found = read_document(data).operations
        except Malformed as malformed:
            raise OperationFailed(AnswerCode.FUNCTION_FAILED, str(malformed)) from malformed
        self._listed = {each.operation: each for each in found}
        return found

    # ------------------------------------------------------------ one exchange

    def _listed_inputs(self, operation: str, timeout_s: float) -> DataDescriptor | bytes:
        if operation not in self._listed:
            self.operations(timeout_s=timeout_s)
        known = self._listed.get(operation)
        return digest(known.inputs) if known is not None else DataDescriptor()

    def _exchange(self, ask: AskMessage, data: bytes) -> OperationResult:
        began_s = time.monotonic()
        asking = Asking(ask, data, began_s, began_s + ask.deadline_ms / 1000)
        arrived = self._waiting[ask.call] = queue.SimpleQueue()
        taken_s: float | None = None
        try:
            while True:
                now_s = time.monotonic()
                self._publish(asking.due(now_s), asking.expires_s - now_s)
                late = now_s >= asking.expires_s
                if late and now_s >= asking.expires_s + LATE_S:
                    why = "no gateway answered" if taken_s is None else "the node did not answer in time"
                    raise OperationFailed(AnswerCode.DEADLINE, why)
                try:
                    message = arrived.get(timeout=LATE_S if late else asking.due_in_s(now_s))
                except queue.Empty:
                    continue
                if message is None:
                    asking.again()  # it or its answer may be lost
                    continue
                now_s = time.monotonic()
                if taken_s is None and isinstance(message, TakenMessage):
                    taken_s = now_s - began_s
                done = asking.received(message, now_s)
                if done is not None:
                    return _result(done, taken_s)
        finally:
            del self._waiting[ask.call]

    def _publish(self, messages: Sequence[BusMessage], left_s: float) -> None:
        if not messages:
            return
        properties = expiring(math.ceil(left_s))
        for message in messages:
            topic = f"{self._base}/request/{self._settings.client}"
            self._client.publish(topic, encode(message), qos=1, properties=properties)

    # ------------------------------------------------------------ the connection

    def _made(self) -> Client:
        settings = self._settings
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if settings.ca is not None:
            try:
                context = ssl.create_default_context(cafile=str(settings.ca))
                if settings.certificate is not None and settings.key is not None:
                    context.load_cert_chain(settings.certificate, settings.key)
            except (OSError, ssl.SSLError) as error:
                named = ", ".join(str(each) for each in (settings.ca, settings.certificate, settings.key) if each)
                raise BrokerUnreachable(f"can't set up TLS with {named}: {error}") from error
            client.tls_set_context(context)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._on_subscribed()
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refused = f"the broker refused the connection: {reason}"
            self._ready.set()
        else:
            client.subscribe(f"{self._base}/answer/{self._settings.client}", 1)

    def _on_subscribed(self) -> None:
        if self._ready.is_set():  # not the first time: what was sent meanwhile did not arrive
            for waiting in list(self._waiting.values()):
                waiting.put(None)
        self._ready.set()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            parsed = parse(bytes(message.payload))
        except Malformed:
            return
        waiting = self._waiting.get(parsed.call)
        if waiting is not None:
            waiting.put(parsed)


def _send_at_once(_client: Client, _data: object, opened: object) -> None:
    """Turn Nagle's algorithm off: it would hold a small message back until the broker acknowledges the one before."""
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _result(done: DoneMessage, taken_s: float | None) -> OperationResult:
    """Return how a call ended."""
    if not isinstance(done.data, bytes):
        raise OperationFailed(done.code, str(done.data))
    return OperationResult(done.data, done.node, done.microseconds, taken_s)
