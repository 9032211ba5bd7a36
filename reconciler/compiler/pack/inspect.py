# SPDX-License-Identifier: Apache-2.0
"""Describes a pack in tables: its sections, its operators, and which operators use which part of the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_section import decode_forest, depth_of, node_count
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.operators import (
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Operator,
    Pool,
)
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.pack.plan_section import TensorRecord, decode_plan, decode_tensors, macs_of
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters


@dataclass(frozen=True, slots=True)
class PackTable:
    """A table of text: a title, a header and rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def inspect_pack(data: bytes) -> list[PackTable]:
    """Return the tables that describe a pack."""
    pack = disassemble(data)
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    overhead = len(data) - sum(len(content) for content in pack.sections.values())
    sections = [(name.name, str(len(content))) for name, content in sorted(pack.sections.items())]
    interface = [
        (role, item.type.name.lower(), _shape(item.shape), f"{item.scale:.6g}", str(item.zero_point))
        for role, items in (("input", inputs), ("output", outputs))
        for item in items
    ]
    tables = [
        PackTable(
            f"{pack.kind.name.lower().replace('_', ' ')}: {len(data)} bytes, arena {pack.arena_bytes} bytes",
            ("section", "bytes"),
            (*sections, ("header, table, padding", str(overhead))),
        ),
        PackTable("inputs and outputs", ("", "type", "shape", "scale", "zero point"), tuple(interface)),
    ]
    parameters = decode_parameters(pack.section(SectionId.PARAMETERS))
    if parameters:
        rows = [
            (str(i), f"{p.name_hash:08x}", str(p.default), p.encoding.name.lower()) for i, p in enumerate(parameters)
        ]
        tables.append(PackTable("parameters", ("index", "name hash", "default", "encoding"), tuple(rows)))
    if pack.kind is PackKind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        plan = decode_plan(pack.section(SectionId.PLAN))
        tables += [_operators(plan, tensors), _arena(plan, tensors, pack.arena_bytes)]
    elif pack.kind is PackKind.TREE_ENSEMBLE:
        tables.append(_forest(pack.section(SectionId.FEATURES), pack.section(SectionId.FOREST)))
    return tables


def _shape(dims: Sequence[int]) -> str:
    return "x".join(str(size) for size in dims)


def _operators(plan: Sequence[Operator], tensors: Sequence[TensorRecord]) -> PackTable:
    rows = []
    for number, op in enumerate(plan):
        sources = ", ".join(_shape(tensors[i].dims) for i in op.inputs())
        macs = macs_of(op, tensors)
        rows.append((str(number), op.NAME, _details(op), sources, _shape(tensors[op.output].dims), str(macs or "")))
    return PackTable("operators", ("", "operator", "", "in", "out", "multiply-accumulates"), tuple(rows))


def _details(op: Operator) -> str:
    if isinstance(op, (Conv2D, DepthwiseConv2D, Pool)):
        return f"{op.kernel_h}x{op.kernel_w}, stride {op.stride_h}x{op.stride_w}"
    if isinstance(op, FullyConnected):
        return "per channel" if op.per_channel else "per tensor"
    return f"blocks of {op.block}" if isinstance(op, Concatenation) else ""


def _arena(plan: Sequence[Operator], tensors: Sequence[TensorRecord], size: int) -> PackTable:
    """List each range of the arena with the operators that use it, and draw its position."""
    uses: dict[tuple[int, int], list[int]] = {}
    for number, op in enumerate(plan):
        for index in (*op.inputs(), op.output):
            record = tensors[index]
            if not record.constant:
                uses.setdefault((record.offset, record.elements), []).append(number)
    rows = []
    for (offset, length), numbers in sorted(uses.items(), key=lambda item: (min(item[1]), item[0])):
        rows.append((str(offset), str(length), f"{min(numbers)} - {max(numbers)}", _bar(offset, length, size)))
    return PackTable("arena", ("offset", "bytes", "operators", "position"), tuple(rows))


def _bar(offset: int, length: int, size: int, width: int = 40) -> str:
    begin = offset * width // max(size, 1)
    end = max(begin + 1, (offset + length) * width // max(size, 1))
    return "." * begin + "#" * (end - begin) + "." * (width - end)


def _forest(features: bytes, section: bytes) -> PackTable:
    window = decode_features(features)
    forest = decode_forest(section, len(window.features))
    nodes = sum(node_count(tree) for tree in forest.trees)
    rows = [
        ("mode", forest.mode.name.lower()),
        ("trees", str(len(forest.trees))),
        ("nodes", str(nodes)),
        ("deepest leaf", str(max(depth_of(tree) for tree in forest.trees))),
        ("threshold bits", str(forest.threshold_bits)),
        ("leaf rows", str(len(forest.table))),
        ("window", f"{window.samples} samples of {window.channels} channels"),
        ("features", ", ".join(f"{f.statistic.name.lower()} of channel {f.channel}" for f in window.features)),
    ]
    return PackTable("forest", ("", ""), tuple(rows))
