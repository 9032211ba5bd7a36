# SPDX-License-Identifier: Apache-2.0
"""A device whose built-ins this gateway offers as operations: one call at a time, in a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from reconciler.bus.device_operations import builtin_capability
from reconciler.bus.node import Invocation, OfferedOperation
from reconciler.devices.conversation import BuiltinRan, Lost, Rejected
from reconciler.devices.error_codes import describe_refusal, describe_returned
from reconciler.devices.link_session import LinkSession
from reconciler.devices.operation_messages import OCTETS_MAX
from reconciler.engine.device_sessions import SessionKeeper
from reconciler.model import Builtin, DeviceId
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.resolution import NodeLoad

WAITING_MAX = 16  # calls of one device (docs/specs/operations.md section 8)
ATTEMPTS = 2


@dataclass(slots=True)
class CallTally:
    """How calls or requests ended."""

    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class CallPorts:
    """What calling a device needs."""

    session_of: Callable[[DeviceId], LinkSession | None]
    reachable: Callable[[DeviceId], bool]
    boots_of: Callable[[DeviceId], int | None]
    steady_s: Callable[[], float]
    tally: CallTally


class CalledDevice:
    """One device, as a node that does one thing at a time."""

    def __init__(self, device: DeviceId, keeper: SessionKeeper, ports: CallPorts) -> None:
        self.device, self.keeper = device, keeper
        self._ports = ports
        self._waiting = 0
        self._typical_s = 0.0
        self._turn = asyncio.Lock()

    def offered(self, builtin: Builtin, node: str) -> OfferedOperation:
        """Return a built-in of the device as an operation of its gateway."""

        async def perform(asked: Invocation) -> bytes:
            return await self._performed(builtin, asked.data)

        return OfferedOperation(builtin_capability(builtin, self.device, node), perform, self.load)

    def load(self) -> NodeLoad | None:
        """Return how soon the next call would be done; None: the device can't be reached."""
        if not self._ports.reachable(self.device):
            return None
        return NodeLoad(waiting=self._waiting, waiting_max=WAITING_MAX, service_s=self._typical_s)

    async def _performed(self, builtin: Builtin, data: bytes) -> bytes:
        self._waiting += 1
        try:
            async with self._turn:
                began_s = self._ports.steady_s()
                result = await self._call(builtin, data)
                self._typical_s += (self._ports.steady_s() - began_s - self._typical_s) / 8
        except OperationFailed:
            self._ports.tally.failed += 1
            raise
        finally:
            self._waiting -= 1
        self._ports.tally.done += 1
        return result

    async def _call(self, builtin: Builtin, data: bytes) -> bytes:
        link = self._ports.session_of(self.device)
        if link is None:
            raise OperationFailed(AnswerCode.NO_CAPABLE_NODE, f"no link leads to {self.device}")
        if len(data) > OCTETS_MAX:
            raise OperationFailed(AnswerCode.TOO_LARGE, f"a device takes at most {OCTETS_MAX} bytes, not {len(data)}")
        if (self._ports.boots_of(self.device) or 0) > self.keeper.boots:
            self.keeper.forget()
        outcome: BuiltinRan | Rejected | Lost = Lost("it did not open a session")
        for _ in range(ATTEMPTS):
            session = await self.keeper.opened(link)
            if session is None:
                raise OperationFailed(AnswerCode.NO_CAPABLE_NODE, f"{self.device}: {self.keeper.failure}")
            outcome = await link.call_builtin(self.device, session, builtin.number, data)
            if isinstance(outcome, BuiltinRan):
                break
            self.keeper.forget()
            if isinstance(outcome, Lost) and not builtin.idempotent:
                break
        return self._result(outcome)

    def _result(self, outcome: BuiltinRan | Rejected | Lost) -> bytes:
        match outcome:
            case BuiltinRan(0, data):
                return data
            case BuiltinRan(code, _):
                why = describe_returned(code)
            case Rejected(code, during):
                why = describe_refusal(code, during)
            case Lost(how):
                why = f"{how}, so the built-in may have run"
            case unexpected:
                assert_never(unexpected)
        raise OperationFailed(AnswerCode.FUNCTION_FAILED, f"{self.device}: {why}")
