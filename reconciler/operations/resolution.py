# SPDX-License-Identifier: Apache-2.0
"""Which node gets a request: matched before anything is sent, passed on to another server, or refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.model import Near
from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor, Mismatch, digest, mismatch, size_mismatch
from reconciler.operations.limits import DATA_BYTES_MAX, PATH_MAX

BUILT_IN = "node"  # the provider of what a node has built in
DEVICE = "device "  # provider, before the name of a device


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A request, without its data. `expires_s` is a time of the clock that `now` has."""

    operation: str
    descriptor: DataDescriptor | bytes  # bytes: the digest of a descriptor that was listed
    size: int
    expires_s: float
    path: tuple[str, ...] = ()  # the servers that it has passed


@dataclass(frozen=True, slots=True)
class Capability:
    """An operation that a node has."""

    operation: str
    node: str
    inputs: DataDescriptor
    outputs: DataDescriptor
    provider: str = BUILT_IN  # or the name and version of a function
    idempotent: bool = False
    has_data: bool = False  # what the operation works on is stored on this node
    near: Near = Near.CALLER

    @property
    def built_in(self) -> bool:
        """Return whether it belongs to this node: the same operation of another one is about other data."""
        return self.provider == BUILT_IN

    @property
    def on_device(self) -> bool:
        """Return whether a device behind this node does it."""
        return self.provider.startswith(DEVICE)


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """How soon a node would be done. A node without a load can't be reached."""

    round_trip_s: float = 0.0
    waiting: int = 0
    waiting_max: int = 1
    service_s: float = 0.0
    bytes_per_s: float = 0.0  # 0: moving data costs nothing


@dataclass(frozen=True, slots=True)
class Server:
    """Where a request is resolved, and to which servers it may pass requests on, in the order of preference."""

    name: str
    forward: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A node here does it. The others may be tried if it fails: only for operations that are idempotent."""

    capability: Capability
    others: tuple[Capability, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Servers are asked in this order, with this path, until one does not say that it can't.

    This server may be among them: it is asked like the others. `movable`: the next one is also asked if one is busy.
    `idempotent`: also if one does not answer, although it may have done the work.
    """

    servers: tuple[str, ...]
    path: tuple[str, ...]
    movable: bool = False
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing is sent."""

    code: AnswerCode
    why: str


Resolution = Dispatch | Forward | Refuse


def resolve(
    request: OperationRequest,
    capabilities: Sequence[Capability],
    loads: Mapping[str, NodeLoad],
    server: Server,
    now_s: float,
) -> Resolution:
    """Decide what becomes of a request. Capabilities of the servers that are asked count if they have a load."""
    refused = _not_acceptable(request, server, now_s)
    if refused is not None:
        return refused
    passed = (*request.path, server.name)
    others = () if len(passed) > PATH_MAX else [each for each in server.forward if each not in passed]
    here = _here(request, [each for each in capabilities if each.node not in server.forward], loads, now_s)
    elsewhere = [each for each in capabilities if each.node in others and _fits(request, each)]
    if isinstance(here, Refuse) and here.code in _FORWARDED:
        return _passed_on(request, server, others, elsewhere, loads) if others else here
    if isinstance(here, Refuse) and here.code is not AnswerCode.BUSY:
        return here
    own = () if isinstance(here, Refuse) else (here.capability,)
    if own and (request.path or own[0].built_in):
        return here
    free = _free(request, [*own, *(each for each in elsewhere if not each.built_in)], loads, now_s)
    return here if not free or free[0].node not in server.forward else _forward(request, server, free, free)


def _not_acceptable(request: OperationRequest, server: Server, now_s: float) -> Refuse | None:
    if server.name in request.path:
        return Refuse(AnswerCode.LOOP, f"the request has passed {server.name} before")
    if len(request.path) > PATH_MAX:
        return Refuse(AnswerCode.LOOP, f"the request has passed {len(request.path)} servers")
    if request.expires_s <= now_s:
        return Refuse(AnswerCode.DEADLINE, "the deadline has passed")
    if request.size > DATA_BYTES_MAX:
        return Refuse(AnswerCode.TOO_LARGE, f"{request.size} bytes are more than {DATA_BYTES_MAX}")
    return None


_FORWARDED = frozenset({AnswerCode.NO_SUCH_OPERATION, AnswerCode.DESCRIPTOR_MISMATCH, AnswerCode.NO_CAPABLE_NODE})


def ranked(candidates: Iterable[Capability], loads: Mapping[str, NodeLoad], size: int) -> list[Capability]:
    """Return nodes in the order in which the function wants them to be asked (`placement.near`)."""
    listed = sorted(candidates, key=lambda each: each.node)
    if not listed:
        return []

    def order(each: Capability) -> tuple[float, float, str]:
        load = loads[each.node]
        cost = cost_s(each, load, size)
        match near:
            case Near.DATA:
                return (0.0 if each.has_data else 1.0, cost, each.node)
            case Near.CALLER:
                return (load.round_trip_s, cost, each.node)
            case Near.LEAST_LOADED:
                return (cost, load.round_trip_s, each.node)

    near = listed[0].near  # while a commit spreads, they may differ
    return sorted(listed, key=order)


def _free(
    request: OperationRequest, candidates: Iterable[Capability], loads: Mapping[str, NodeLoad], now_s: float
) -> list[Capability]:
    """Return the nodes that can be reached, have a place, and would be done in time; the first choice first."""
    able = [
        each
        for each in candidates
        if (load := loads.get(each.node)) is not None
        and load.waiting < load.waiting_max
        and now_s + cost_s(each, load, request.size) <= request.expires_s
    ]
    return ranked(able, loads, request.size)


def _passed_on(
    request: OperationRequest,
    server: Server,
    others: Sequence[str],
    elsewhere: Sequence[Capability],
    loads: Mapping[str, NodeLoad],
) -> Forward:
    """Ask those first that can do it; then the others, which may know one that can; then those that are silent."""
    built_in = [each.node for each in elsewhere if each.built_in]
    if built_in:  # another one's would be about other data, even while this one is silent
        first = next(each for each in others if each in built_in)
        return Forward((first,), (*request.path, server.name))
    able = ranked([each for each in elsewhere if each.node in loads], loads, request.size)
    silent = [each for each in elsewhere if each.node not in loads]
    known = {each.node for each in elsewhere}
    return _forward(request, server, [*able, *(each for each in others if each not in known), *silent], elsewhere)


def _forward(
    request: OperationRequest, server: Server, asked: Sequence[Capability | str], able: Collection[Capability]
) -> Forward:
    names = (each if isinstance(each, str) else each.node for each in asked)
    servers = tuple(name if name in server.forward else server.name for name in names)
    idempotent = bool(able) and all(each.idempotent for each in able)
    return Forward(servers, (*request.path, server.name), movable=bool(able), idempotent=idempotent)


def _here(
    request: OperationRequest, capabilities: Sequence[Capability], loads: Mapping[str, NodeLoad], now_s: float
) -> Dispatch | Refuse:
    named = [each for each in capabilities if each.operation == request.operation]
    if not named:
        return Refuse(AnswerCode.NO_SUCH_OPERATION, f"no node has the operation {request.operation}")
    wrong = [(each, _mismatch(request, each)) for each in named]
    fitting = [each for each, found in wrong if found is None]
    if not fitting:
        return Refuse(AnswerCode.DESCRIPTOR_MISMATCH, next(str(found) for _, found in wrong if found is not None))
    alive = [each for each in fitting if each.node in loads]
    if not alive:
        return Refuse(
            AnswerCode.NO_CAPABLE_NODE, f"{', '.join(sorted({each.node for each in fitting}))}: not reachable"
        )
    free = [each for each in alive if loads[each.node].waiting < loads[each.node].waiting_max]
    if not free:
        return Refuse(AnswerCode.BUSY, "too many requests wait")
    cheapest = sorted(free, key=lambda each: (cost_s(each, loads[each.node], request.size), each.node))
    if now_s + cost_s(cheapest[0], loads[cheapest[0].node], request.size) > request.expires_s:
        return Refuse(AnswerCode.DEADLINE, "no node would be done in time")
    others = tuple(each for each in cheapest[1:] if each.idempotent) if cheapest[0].idempotent else ()
    return Dispatch(cheapest[0], others)


def cost_s(capability: Capability, load: NodeLoad, size: int) -> float:
    """Estimate the time until a node is done. Data that a node already has is not moved."""
    moved = 0.0 if capability.has_data or not load.bytes_per_s else size / load.bytes_per_s
    return load.round_trip_s + (load.waiting + 1) * load.service_s + moved


def _fits(request: OperationRequest, capability: Capability) -> bool:
    return capability.operation == request.operation and _mismatch(request, capability) is None


def _mismatch(request: OperationRequest, capability: Capability) -> Mismatch | None:
    if isinstance(request.descriptor, bytes):
        listed = digest(capability.inputs)
        if request.descriptor != listed:
            return Mismatch("descriptor", listed.hex(), request.descriptor.hex())
        return size_mismatch(capability.inputs, request.size)
    return mismatch(request.descriptor, capability.inputs, request.size)


def forwarded(request: OperationRequest, forward: Forward) -> OperationRequest:
    """Return the request as the next server gets it."""
    return replace(request, path=forward.path)
