# SPDX-License-Identifier: Apache-2.0
"""What a pack holds, for people: its sections, its operators, who uses which part of the arena when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.evaluation.cost_model import macs_of
from reconciler.compiler.pack.forest_section import decode_features, decode_forest, depth_of, node_count
from reconciler.compiler.pack.operators import (
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Operator,
    Pool,
)
from reconciler.compiler.pack.pack_format import PackKind, SectionId, decode_io, decode_parameters, disassemble
from reconciler.compiler.pack.plan_section import TensorRecord, decode_plan, decode_tensors


@dataclass(frozen=True, slots=True)
class PackTable:
    """One table: a title, a header, rows of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def inspect_pack(data: bytes) -> list[PackTable]:
    """Return the tables of a pack."""
    pack = disassemble(data)
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    overhead = len(data) - sum(len(content) for content in pack.sections.values())
    sections = [(name.name, str(len(content))) for name, content in sorted(pack.sections.items())]
    ends = [
        (role, item.type.name.lower(), _shape(item.shape), f"{item.scale:.6g}", str(item.zero_point))
        for role, items in (("input", inputs), ("output", outputs))
        for item in items
    ]
    sheets = [
        PackTable(
            f"{pack.kind.name.lower().replace('_', ' ')}: {len(data)} bytes, arena {pack.arena_bytes} bytes",
            ("section", "bytes"),
            (*sections, ("header, table, padding", str(overhead))),
        ),
        PackTable("ends", ("", "type", "shape", "scale", "zero point"), tuple(ends)),
    ]
    parameters = decode_parameters(pack.section(SectionId.PARAMETERS))
    if parameters:
        rows = [
            (str(i), f"{p.name_hash:08x}", str(p.default), p.encoding.name.lower()) for i, p in enumerate(parameters)
        ]
        sheets.append(PackTable("parameters", ("index", "name hash", "default", "encoding"), tuple(rows)))
    if pack.kind is PackKind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        plan = decode_plan(pack.section(SectionId.PLAN))
        sheets += [_operators(plan, tensors), _arena(plan, tensors, pack.arena_bytes)]
    elif pack.kind is PackKind.TREE_ENSEMBLE:
        sheets.append(_forest(pack.section(SectionId.FEATURES), pack.section(SectionId.FOREST)))
    return sheets


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
    """A line a place: when it is first and last used, and a picture of where it lies."""
    uses: dict[tuple[int, int], list[int]] = {}
    for number, op in enumerate(plan):
        for index in (*op.inputs(), op.output):
            record = tensors[index]
            if not record.constant:
                uses.setdefault((record.offset, record.elements), []).append(number)
    rows = []
    for (offset, length), numbers in sorted(uses.items(), key=lambda item: (min(item[1]), item[0])):
        rows.append((str(offset), str(length), f"{min(numbers)} - {max(numbers)}", _bar(offset, length, size)))
    return PackTable("arena", ("offset", "bytes", "operators", "place"), tuple(rows))


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
