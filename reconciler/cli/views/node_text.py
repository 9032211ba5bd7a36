# SPDX-License-Identifier: Apache-2.0
"""Nodes as a commit describes them, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from reconciler.bus.built_in import bucket_capabilities, inspect_capability
from reconciler.bus.device_operations import builtin_capability
from reconciler.bus.fleet_changes import change_capability
from reconciler.bus.function_operations import function_capability
from reconciler.cli.views.contest_text import plain_table
from reconciler.cli.views.operation_text import descriptor_text, item_text
from reconciler.model import Bucket, Desired, DeviceId, DeviceType, Function, Gateway, device_operation
from reconciler.operations.placement import placement_of
from reconciler.operations.resolution import Capability
from reconciler.selection import matcher


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """What a commit gives one gateway to do."""

    name: str
    functions: tuple[Function, ...]
    buckets: tuple[Bucket, ...]
    storage_bytes: int
    runs_functions: bool
    drains: bool
    proposes_changes: bool
    devices: tuple[tuple[DeviceId, DeviceType], ...] = ()  # those with built-ins


def nodes_of(desired: Desired) -> list[PlannedNode]:
    """Return the gateways that are nodes."""
    placed = placement_of(desired.functions, desired.gateways)
    found = []
    for name, gateway in sorted(desired.gateways.items()):
        node = gateway.node
        if node is None:
            continue
        held = tuple(desired.functions[each] for each in sorted(placed) if name in placed[each])
        storage = node.storage
        buckets = storage.buckets if storage is not None else ()
        total = storage.bytes if storage is not None else 0
        found.append(
            PlannedNode(
                name,
                held,
                buckets,
                total,
                node.functions is not None,
                node.drain,
                node.changes is not None,
                _devices(desired, gateway),
            )
        )
    return found


def _devices(desired: Desired, gateway: Gateway) -> tuple[tuple[DeviceId, DeviceType], ...]:
    serves = matcher(gateway.selector)
    called = {name: of for name, of in desired.types.items() if of.builtins}
    candidates = (device for device in desired.devices.values() if device.type in called)
    return tuple((device.name, called[device.type]) for device in candidates if serves(device))


def capabilities_of(node: PlannedNode) -> list[Capability]:
    """Return the operations that a node offers, once it runs this commit."""
    of_buckets = [each for bucket in node.buckets for each in bucket_capabilities(node.name, bucket).values()]
    of_functions = [function_capability(each, node.name) for each in node.functions]
    of_devices = [builtin_capability(each, name, node.name) for name, of in node.devices for each in of.builtins]
    of_fleet = [change_capability(node.name)] if node.proposes_changes else []
    return [inspect_capability(node.name), *of_fleet, *of_buckets, *of_functions, *of_devices]


def listed_nodes(found: Sequence[PlannedNode]) -> RenderableType:
    """Show all nodes."""
    if not found:
        return Text("no gateway is a node")
    table = plain_table("NODE", "FUNCTIONS", "BUCKETS")
    for each in found:
        functions = ", ".join(function.name for function in each.functions) or "none"
        buckets = ", ".join(bucket.name for bucket in each.buckets) or "-"
        table.add_row(each.name, _runs(each, functions), buckets)
    return table


def _runs(node: PlannedNode, functions: str) -> str:
    if not node.runs_functions:
        return "runs none"
    return "drains" if node.drains else functions


def shown_node(node: PlannedNode) -> Iterator[RenderableType]:
    """Show one node."""
    yield Text(node.name, "bold")
    if node.functions:
        table = plain_table("FUNCTION", "VERSION", "OPERATION", "INPUTS", "OUTPUTS")
        for each in node.functions:
            inputs, outputs = Text(descriptor_text(each.inputs)), Text(descriptor_text(each.outputs))
            table.add_row(each.name, each.version, each.operation, inputs, outputs)
        yield table
    else:
        yield Text("it holds no functions")
    if node.buckets:
        yield Text()
        table = plain_table("BUCKET", "ITEM", "KEEPS")
        for bucket in node.buckets:
            keep = bucket.keep
            keeps = f"{keep.items:,} items, {keep.bytes:,} bytes, {keep.age_s // 3600:,} h"
            table.add_row(bucket.name, Text(item_text(bucket.descriptor)), keeps)
        yield table
    yield from _shown_builtins(node)


def _shown_builtins(node: PlannedNode) -> Iterator[RenderableType]:
    """Show what all devices of a type have, in one line."""
    types = {of.name: of for _, of in node.devices}
    table = plain_table("BUILT-IN", "TYPE", "DEVICES", "INPUTS", "OUTPUTS")
    for of in types.values():
        count = sum(each.name == of.name for _, each in node.devices)
        for each in of.builtins:
            inputs, outputs = Text(descriptor_text(each.inputs)), Text(descriptor_text(each.outputs))
            table.add_row(f"{each.operation}.…", of.name, str(count), inputs, outputs)
    if types:
        yield from (Text(), table)


def node_as_dict(node: PlannedNode) -> dict[str, Any]:
    """Return the fields for programs."""
    return {
        "node": node.name,
        "runsFunctions": node.runs_functions,
        "drains": node.drains,
        "proposesChanges": node.proposes_changes,
        "functions": [
            {"function": each.name, "version": each.version, "operation": each.operation} for each in node.functions
        ],
        "storageBytes": node.storage_bytes,
        "buckets": [
            {
                "bucket": bucket.name,
                "item": item_text(bucket.descriptor),
                "keep": {"age": bucket.keep.age_s, "bytes": bucket.keep.bytes, "items": bucket.keep.items},
            }
            for bucket in node.buckets
        ],
        "builtins": [
            {"operation": device_operation(each, name), "device": name, "type": of.name}
            for name, of in node.devices
            for each in of.builtins
        ],
    }
