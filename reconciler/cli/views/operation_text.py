# SPDX-License-Identifier: Apache-2.0
"""Operations, their data and their results, for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.views.contest_text import plain_table
from reconciler.client import AdvertisedOperation, ProposedCommit
from reconciler.model import ItemDescriptor, ValueDescriptor, ValueElement
from reconciler.operations.descriptors import ELEMENT_BYTES, DataDescriptor

SHOWN = 16  # elements of a value that the text shows


def listed_operations(found: Sequence[AdvertisedOperation]) -> RenderableType:
    """Show operations, one line each."""
    table = plain_table("OPERATION", "NODE", "PROVIDER", "INPUTS", "OUTPUTS")
    for each in found:
        table.add_row(
            each.operation, each.node, each.provider, Text(descriptor_text(each.inputs.values)),
            Text(descriptor_text(each.outputs.values)),
        )  # fmt: skip
    return table


def operation_as_dict(each: AdvertisedOperation) -> dict[str, Any]:
    """Return the fields for programs."""
    return {
        "operation": each.operation,
        "node": each.node,
        "provider": each.provider,
        "inputs": [_value_as_dict(value) for value in each.inputs.values],
        "outputs": [_value_as_dict(value) for value in each.outputs.values],
        "idempotent": each.idempotent,
    }


def descriptor_text(values: Sequence[ValueDescriptor]) -> str:
    """Write data in one line, such as `window: int16 [any, 3] mg`."""
    return "; ".join(f"{value.name}: {item_text(value)}" for value in values) or "-"


def item_text(item: ItemDescriptor) -> str:
    """Write what a value is, such as `int16 [any, 3] mg`."""
    sizes = ", ".join("any" if size is None else str(size) for size in item.shape)
    more = [each for each in (item.unit, item.usage.value if item.usage is not None else None) if each]
    return " ".join([item.dtype.value, f"[{sizes}]", *more])


def values_of(described: DataDescriptor, data: bytes) -> list[dict[str, Any]]:
    """Return the values of a result, by the descriptor of the operation's outputs."""
    found, at = [], 0
    free = len(data) - sum(_bytes(value) for value in described.values if None not in value.shape)
    for value in described.values:
        size = free if None in value.shape else _bytes(value)
        part = data[at : at + size]
        at += size
        found.append({"name": value.name, "dtype": value.dtype.value, "values": _elements(value, part)})
    return found


def requested(fields: Mapping[str, Any]) -> RenderableType:
    """Show a result."""
    lines = [f"{value['name']}: {_shortened(value['values'])}" for value in fields["outputs"]]
    milliseconds = fields["microseconds"] / 1000
    return Text("\n".join([*lines, f"{fields['node']}: {fields['bytes']:,} bytes, {milliseconds:g} ms"]))


def _shortened(values: object) -> str:
    if isinstance(values, str):
        return values if len(values) <= 8 * SHOWN else f"{values[: 8 * SHOWN]}…"
    if not isinstance(values, list):
        return str(values)
    text = " ".join(map(str, values[:SHOWN]))
    return f"{text} … ({len(values):,} elements)" if len(values) > SHOWN else text


def _elements(value: ValueDescriptor, part: bytes) -> list[int | float | None] | str:
    """Return the elements in one list; bytes as hexadecimal digits, and None for what JSON has no number for."""
    if value.dtype is ValueElement.BYTES:
        return part.hex()
    listed = np.frombuffer(part, np.dtype(value.dtype.value).newbyteorder("<")).tolist()
    return [each if math.isfinite(each) else None for each in listed]


def _bytes(value: ValueDescriptor) -> int:
    size = ELEMENT_BYTES[value.dtype]
    for each in value.shape:
        size *= each or 0
    return size


def _value_as_dict(value: ValueDescriptor) -> dict[str, Any]:
    how = value.quantization
    return {
        "name": value.name,
        "dtype": value.dtype.value,
        "shape": list(value.shape),
        "usage": value.usage.value if value.usage is not None else None,
        "unit": value.unit,
        "quantization": {"scale": how.scale, "zeroPoint": how.zero_point} if how is not None else None,
    }


def offered_commit(made: ProposedCommit) -> RenderableType:
    """Show the commit that a gateway proposes, or the patch of one."""
    if not made.patch:
        return Text("the fleet has this already")
    if made.commit is not None:
        return Text(f"commit {made.commit[:12]} on the branch {made.branch}; merge it\n\n{made.patch}")
    return Text(f"{made.why}; commit this patch\n\n{made.patch}")
