# SPDX-License-Identifier: Apache-2.0
"""What a node says that it can do: the document of `node.inspect` (docs/specs/operations.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.bus.messages import descriptor
from reconciler.devices import strict_cbor
from reconciler.devices.errors import Malformed
from reconciler.operations.descriptors import DataDescriptor, as_array
from reconciler.operations.limits import VERSION


@dataclass(frozen=True, slots=True)
class AdvertisedOperation:
    """An operation that a node lists."""

    operation: str
    node: str
    inputs: DataDescriptor
    outputs: DataDescriptor
    provider: str
    idempotent: bool


def inspect_document(node: str, operations: Iterable[AdvertisedOperation]) -> bytes:
    """Return the document of a node."""
    return strict_cbor.dump({"version": VERSION, "node": node, "operations": [_as_map(each) for each in operations]})


def read_document(data: bytes) -> list[AdvertisedOperation]:
    """Read the document of a node, or raise `Malformed`."""
    document = strict_cbor.load(data)
    try:
        listed = document["operations"]  # type: ignore[index]  # whatever another node has sent
        return [
            AdvertisedOperation(
                str(each["operation"]),
                str(each["node"]),
                descriptor(each["inputs"]),
                descriptor(each["outputs"]),
                str(each["provider"]),
                bool(each["idempotent"]),
            )
            for each in listed
        ]
    except (TypeError, KeyError, IndexError) as error:
        raise Malformed(f"not the document of a node: {error!r}") from error


def _as_map(each: AdvertisedOperation) -> dict[str, object]:
    return {
        "operation": each.operation,
        "node": each.node,
        "inputs": as_array(each.inputs),
        "outputs": as_array(each.outputs),
        "provider": each.provider,
        "idempotent": each.idempotent,
    }
