# SPDX-License-Identifier: Apache-2.0
"""The operations of one node, and how they are performed. For the event loop's thread only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from reconciler.bus.advertised import AdvertisedOperation, capability_of
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import digest, size_mismatch
from reconciler.operations.limits import DATA_BYTES_MAX, NESTING_MAX
from reconciler.operations.resolution import (
    Capability,
    NodeLoad,
    OperationRequest,
    Refuse,
    Resolution,
    Server,
    resolve,
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an operation, after it was matched."""

    data: bytes
    caller: str  # a client or, for an operation that a function calls, that function
    call: bytes
    expires_s: float  # of the clock of the event loop
    depth: int = 0  # how many functions wait for it


_NO_OTHERS: Mapping[str, NodeLoad] = MappingProxyType({})

Perform = Callable[[Invocation], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class OfferedOperation:
    """An operation of this node."""

    capability: Capability
    perform: Perform
    load: Callable[[], NodeLoad | None] = NodeLoad  # a load of 0 for what is done at once; None: it can't be reached
    has_data: Callable[[], bool] = bool  # whether what it reads is stored here now


class OperationNode:
    """What this node can do."""

    def __init__(self, name: str) -> None:
        self.server = Server(name)
        self._offered: Mapping[str, OfferedOperation] = {}
        self.elsewhere: tuple[AdvertisedOperation, ...] = ()  # what gateways can do that this one asks

    @property
    def name(self) -> str:
        """The node's name: that of its gateway."""
        return self.server.name

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """Return what the node offers, and whether it has the data for it now."""
        return tuple(
            replace(each.capability, has_data=True) if each.has_data() else each.capability
            for each in self._offered.values()
        )

    def offer(self, offered: Mapping[str, OfferedOperation]) -> None:
        """Offer exactly these operations, by their names."""
        self._offered = dict(offered)

    def forward_to(self, servers: Sequence[str]) -> None:
        """Pass on what this node can't do to these servers, in this order."""
        self.server = Server(self.name, tuple(servers))

    @property
    def load(self) -> NodeLoad:
        """Return how soon a function of this node would be done."""
        own = (each for each in self._offered.values() if not (each.capability.built_in or each.capability.on_device))
        loads = (each.load() for each in own)
        return next((load for load in loads if load is not None), NodeLoad())

    def resolve(self, request: OperationRequest, now_s: float, others: Mapping[str, NodeLoad]) -> Resolution:
        """Decide whether this node takes a request, or passes it on to others, of which some have a load."""
        elsewhere = [capability_of(each) for each in self.elsewhere if each.operation == request.operation]
        return self._resolved(request, self.server, now_s, elsewhere, others)

    def _resolved(
        self,
        request: OperationRequest,
        server: Server,
        now_s: float,
        elsewhere: Sequence[Capability] = (),
        others: Mapping[str, NodeLoad] = _NO_OTHERS,
    ) -> Resolution:
        offered = self._offered.get(request.operation)
        if offered is None:
            return resolve(request, elsewhere, others, server, now_s)
        own = replace(offered.capability, has_data=offered.capability.has_data or offered.has_data())
        load = offered.load()
        loads = {**others, self.name: load} if load is not None else others
        return resolve(request, (own, *elsewhere), loads, server, now_s)

    def offered(self, operation: str) -> OfferedOperation:
        """Return an operation that has just taken a request: it ends with what it began with, even if Git changes."""
        return self._offered[operation]

    @staticmethod
    async def perform(offered: OfferedOperation, invocation: Invocation) -> bytes:
        """Perform an operation that took a request; the result has the size that its outputs give it."""
        try:
            async with asyncio.timeout_at(invocation.expires_s):
                result = await offered.perform(invocation)
        except TimeoutError as late:
            raise OperationFailed(AnswerCode.DEADLINE, "the deadline passed before the work was done") from late
        if len(result) > DATA_BYTES_MAX:
            raise OperationFailed(AnswerCode.TOO_LARGE, f"the result has {len(result)} bytes")
        wrong = size_mismatch(offered.capability.outputs, len(result))
        if wrong is not None:
            raise OperationFailed(AnswerCode.FUNCTION_FAILED, f"the result is not what it offers: {wrong}")
        return result

    async def call_inside(self, operation: str, invocation: Invocation) -> bytes:
        """Perform an operation for a function of this node, with the rules for requests."""
        inner = replace(invocation, depth=invocation.depth + 1)
        if inner.depth > NESTING_MAX:
            raise OperationFailed(AnswerCode.LOOP, f"more than {NESTING_MAX} operations wait for each other")
        offered = self._offered.get(operation)
        descriptor = digest(offered.capability.inputs) if offered is not None else b""
        request = OperationRequest(operation, descriptor, len(inner.data), inner.expires_s)
        here = Server(self.name)  # functions call their own node
        resolved = self._resolved(request, here, asyncio.get_running_loop().time())
        if isinstance(resolved, Refuse) and resolved.code is not AnswerCode.BUSY:  # it has a place already
            raise OperationFailed(resolved.code, resolved.why)
        return await self.perform(self._offered[operation], inner)
