# SPDX-License-Identifier: Apache-2.0
"""What a node says that it can do: the document of `node.inspect` (docs/specs/operations.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.bus.messages import descriptor
from reconciler.devices import strict_cbor
from reconciler.devices.errors import Malformed
from reconciler.model import Near
from reconciler.operations.descriptors import DataDescriptor, as_array
from reconciler.operations.limits import VERSION
from reconciler.operations.resolution import Capability, NodeLoad


@dataclass(frozen=True, slots=True)
class AdvertisedOperation:
    """An operation that a node lists."""

    operation: str
    node: str
    inputs: DataDescriptor
    outputs: DataDescriptor
    provider: str
    idempotent: bool
    near: Near = Near.CALLER
    has_data: bool = False


@dataclass(frozen=True, slots=True)
class NodeDocument:
    """What a node can do, and how busy it is."""

    operations: tuple[AdvertisedOperation, ...]
    load: NodeLoad


def advertised(capability: Capability) -> AdvertisedOperation:
    """Return how a node lists an operation."""
    return AdvertisedOperation(
        capability.operation,
        capability.node,
        capability.inputs,
        capability.outputs,
        capability.provider,
        capability.idempotent,
        capability.near,
        capability.has_data,
    )


def capability_of(each: AdvertisedOperation) -> Capability:
    """Return what a node can do that lists this."""
    return Capability(
        each.operation,
        each.node,
        each.inputs,
        each.outputs,
        each.provider,
        idempotent=each.idempotent,
        has_data=each.has_data,
        near=each.near,
    )


def inspect_document(node: str, operations: Iterable[AdvertisedOperation], load: NodeLoad) -> bytes:
    """Return the document of a node."""
    fields = {"waiting": load.waiting, "waitingMax": load.waiting_max, "microseconds": round(load.service_s * 1e6)}
    listed = [_as_map(each) for each in operations]
    return strict_cbor.dump({"version": VERSION, "node": node, "operations": listed, "load": fields})


def read_document(data: bytes) -> NodeDocument:
    """Read the document of a node, or raise `Malformed`."""
    document = strict_cbor.load(data)
    try:
        listed, load = document["operations"], document["load"]  # type: ignore[index]  # whatever a node has sent
        operations = tuple(
            AdvertisedOperation(
                str(each["operation"]),
                str(each["node"]),
                descriptor(each["inputs"]),
                descriptor(each["outputs"]),
                str(each["provider"]),
                bool(each["idempotent"]),
                Near(each["near"]),
                bool(each["hasData"]),
            )
            for each in listed
        )
        figures = [int(load[name]) for name in ("waiting", "waitingMax", "microseconds")]
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise Malformed(f"not the document of a node: {error!r}") from error
    waiting, waiting_max, microseconds = figures
    return NodeDocument(operations, NodeLoad(waiting=waiting, waiting_max=waiting_max, service_s=microseconds / 1e6))


def _as_map(each: AdvertisedOperation) -> dict[str, object]:
    return {
        "operation": each.operation,
        "node": each.node,
        "inputs": as_array(each.inputs),
        "outputs": as_array(each.outputs),
        "provider": each.provider,
        "idempotent": each.idempotent,
        "near": each.near.value,
        "hasData": each.has_data,
    }
