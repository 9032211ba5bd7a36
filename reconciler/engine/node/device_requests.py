# SPDX-License-Identifier: Apache-2.0
"""Requests of devices: served like those of clients, and answered with `taken` and a final reply."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import struct
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.bus.messages import AskMessage, DoneMessage, TakenMessage, encode, parse
from reconciler.devices.conversation import Rejected, Requested
from reconciler.devices.link_session import LinkSession
from reconciler.devices.operation_messages import OCTETS_MAX, TAKEN, DeviceRequest, is_genuine, reply_to_request
from reconciler.engine.device_sessions import SessionKeeper
from reconciler.engine.node.called_device import CallTally
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId, RequestedOperation
from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.limits import CALL_BYTES

log = logging.getLogger(__name__)

PREFIX = "device/"  # of a device that asks; no client has it, and no gateway
DEADLINE_MS = 60_000
OPEN_AGAIN_S = 10.0  # at most so often for messages that do not verify: anyone can send those
CONTEXT = b"tinyfleet/request\0"


@dataclass(frozen=True, slots=True)
class RequestPorts:
    """What serving requests needs."""

    session_of: Callable[[DeviceId], LinkSession | None]
    boots_of: Callable[[DeviceId], int | None]
    reachable: Callable[[DeviceId], bool]  # also false if its firmware lacks the part
    ask: Callable[[str, bytes], None]  # in the name of a client
    steady_s: Callable[[], float]


@dataclass(slots=True)
class _Asking:
    """The request of a device that was handed on last."""

    boots: int
    number: int
    call: bytes
    running: bool = True


@dataclass(slots=True)
class RequestingDevice:
    """A device that may ask for operations."""

    device: DeviceId
    identifier: bytes
    keeper: SessionKeeper
    allowed: Mapping[int, RequestedOperation]
    asking: _Asking | None = None
    tried_s: float = field(default=float("-inf"))  # when a session was last opened for it


class DeviceRequests:
    """Serves the requests of all devices of this gateway. For the event loop's thread only."""

    def __init__(self, ports: RequestPorts) -> None:
        self.tally = CallTally()
        self.devices: Mapping[DeviceId, RequestingDevice] = {}
        self._ports = ports
        self._tasks: set[asyncio.Task[None]] = set()

    def reported(self, device: DeviceId) -> None:
        """Open a session with a device that has restarted: without one it can't ask."""
        known = self.devices.get(device)
        if known is None or not self._ports.reachable(device):
            return
        if known.keeper.session is None or (self._ports.boots_of(device) or 0) > known.keeper.boots:
            known.keeper.forget()
            self._spawn(self._open(known))

    def heard(self, device: DeviceId, request: DeviceRequest) -> None:
        """Take in a request that a device sent unasked."""
        known = self.devices.get(device)
        if known is None:
            return
        session = known.keeper.session
        if session is not None and is_genuine(session.key, request):
            self._take(known, request)
        elif self._ports.reachable(device) and self._ports.steady_s() - known.tried_s >= OPEN_AGAIN_S:
            known.keeper.forget()
            self._spawn(self._open(known))

    def answered(self, asker: str, payload: bytes) -> None:
        """Pass an answer on to the device that asked."""
        known = self.devices.get(DeviceId(asker.removeprefix(PREFIX)))
        message = parse(payload)
        asking = known.asking if known is not None else None
        if known is None or asking is None:
            return
        match message:
            case TakenMessage(call) if call == asking.call:
                self._spawn(self._reply(known, asking, TAKEN, b""))
            case DoneMessage(call=call, code=AnswerCode.DONE, data=bytes(data)) if call == asking.call:
                fits = len(data) <= OCTETS_MAX
                self._end(known, asking, 0 if fits else -AnswerCode.TOO_LARGE, data if fits else b"")
            case DoneMessage(call=call, code=code) if call == asking.call:  # parts came before one without data
                self._end(known, asking, -(code or AnswerCode.TOO_LARGE), b"")
            case _:
                return

    async def poll(self, device: DeviceId, link: LinkSession) -> None:
        """Ask a device on a serial line for its request."""
        known = self.devices[device]
        session = await known.keeper.opened(link)
        if session is None:
            return
        outcome = await link.poll_request(device, session)
        if isinstance(outcome, Requested):
            self._take(known, outcome.request)
        elif isinstance(outcome, Rejected):
            known.keeper.forget()

    async def stop(self) -> None:
        """Drop the replies that have not been sent: those devices ask again."""
        await cancel_and_wait(list(self._tasks))

    def _take(self, known: RequestingDevice, request: DeviceRequest) -> None:
        """Hand a request on, once; one that was answered before gets the same answer."""
        boots, before = known.keeper.boots, known.asking
        if before is not None and (before.boots, before.number) == (boots, request.number) and before.running:
            return
        call = request_call(known.identifier, boots, request.number)
        asking = known.asking = _Asking(boots, request.number, call)
        allowed = known.allowed.get(request.operation)
        if allowed is None:
            log.warning("%s: asks for operation %d, which its type does not have", known.device, request.operation)
            self._end(known, asking, -AnswerCode.FORBIDDEN, b"")
            return
        descriptor = DataDescriptor(allowed.inputs)
        ask = AskMessage(call, allowed.operation, descriptor, DEADLINE_MS, request.data)
        self._ports.ask(PREFIX + known.device, encode(ask))

    def _end(self, known: RequestingDevice, asking: _Asking, code: int, data: bytes) -> None:
        asking.running = False
        self.tally.done += not code
        self.tally.failed += bool(code)
        self._spawn(self._reply(known, asking, code, data))

    async def _reply(self, known: RequestingDevice, asking: _Asking, code: int, data: bytes) -> None:
        session, link = known.keeper.session, self._ports.session_of(known.device)
        if session is None or link is None or known.keeper.boots != asking.boots:
            return  # it asks again, or has forgotten
        outcome = await link.reply_to_request(known.device, reply_to_request(session.key, asking.number, code, data))
        if isinstance(outcome, Rejected):
            known.keeper.forget()

    async def _open(self, known: RequestingDevice) -> None:
        known.tried_s = self._ports.steady_s()
        link = self._ports.session_of(known.device)
        if link is not None and await known.keeper.opened(link) is None:
            log.info("%s: no session for its requests yet: %s", known.device, known.keeper.failure)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def request_call(identifier: bytes, boots: int, number: int) -> bytes:
    """Return the call of a request, the same however often and in whatever session it arrives."""
    content = CONTEXT + identifier + struct.pack("<II", boots, number)
    return hashlib.sha256(content).digest()[:CALL_BYTES]
