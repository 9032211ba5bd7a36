# SPDX-License-Identifier: Apache-2.0
"""Which node gets a request: matched before anything is sent, passed on to another server, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor, Mismatch, digest, mismatch, size_mismatch
from reconciler.operations.limits import DATA_BYTES_MAX, PATH_MAX


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
    provider: str = "node"  # or the name and version of a function
    idempotent: bool = False
    has_data: bool = False  # what the operation works on is stored on this node


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
    """Another server is asked, with this path."""

    server: str
    path: tuple[str, ...]


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
    """Decide what becomes of a request."""
    if server.name in request.path:
        return Refuse(AnswerCode.LOOP, f"the request has passed {server.name} before")
    if len(request.path) > PATH_MAX:
        return Refuse(AnswerCode.LOOP, f"the request has passed {len(request.path)} servers")
    if request.expires_s <= now_s:
        return Refuse(AnswerCode.DEADLINE, "the deadline has passed")
    if request.size > DATA_BYTES_MAX:
        return Refuse(AnswerCode.TOO_LARGE, f"{request.size} bytes are more than {DATA_BYTES_MAX}")
    here = _here(request, capabilities, loads, now_s)
    if isinstance(here, Refuse) and here.code in _FORWARDED:
        return _forward(request, server) or here
    return here


_FORWARDED = frozenset({AnswerCode.NO_SUCH_OPERATION, AnswerCode.DESCRIPTOR_MISMATCH, AnswerCode.NO_CAPABLE_NODE})


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
    ranked = sorted(free, key=lambda each: (cost_s(each, loads[each.node], request.size), each.node))
    if now_s + cost_s(ranked[0], loads[ranked[0].node], request.size) > request.expires_s:
        return Refuse(AnswerCode.DEADLINE, "no node would be done in time")
    return Dispatch(ranked[0], tuple(each for each in ranked[1:] if each.idempotent) if ranked[0].idempotent else ())


def cost_s(capability: Capability, load: NodeLoad, size: int) -> float:
    """Estimate the time until a node is done. Data that a node already has is not moved."""
    moved = 0.0 if capability.has_data or not load.bytes_per_s else size / load.bytes_per_s
    return load.round_trip_s + (load.waiting + 1) * load.service_s + moved


def _mismatch(request: OperationRequest, capability: Capability) -> Mismatch | None:
    if isinstance(request.descriptor, bytes):
        listed = digest(capability.inputs)
        if request.descriptor != listed:
            return Mismatch("descriptor", listed.hex(), request.descriptor.hex())
        return size_mismatch(capability.inputs, request.size)
    return mismatch(request.descriptor, capability.inputs, request.size)


def _forward(request: OperationRequest, server: Server) -> Forward | None:
    if len(request.path) >= PATH_MAX:
        return None
    passed = (*request.path, server.name)
    return next((Forward(each, passed) for each in server.forward if each not in passed), None)


def forwarded(request: OperationRequest, forward: Forward) -> OperationRequest:
    """Return the request as the next server gets it."""
    return replace(request, path=forward.path)
