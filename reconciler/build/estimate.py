# SPDX-License-Identifier: Apache-2.0
"""Estimates the work of one inference on a target, from the plan alone.

The coefficients are instructions by kind of work, fitted to runs of the C engine on emulated boards
under an instruction counter (`make bench-engine`); docs/build.md says how far off they have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.build.container import Kind, SectionId, disassemble
from reconciler.build.forestformat import Forest, decode_features, decode_forest, node_count
from reconciler.build.operators import (
    AveragePool,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool,
    Operator,
    Softmax,
    TensorRecord,
    decode_plan,
    decode_tensors,
)

SOFTMAX_PER_ELEMENT = 260
PER_OUTPUT = 40
PER_ELEMENT = 24
PER_NODE = 14
PER_JUMP = 26
PER_SAMPLE = 60


@dataclass(frozen=True, slots=True)
class Costs:
    """Instructions for one multiply-accumulate."""

    convolution: float
    depthwise: float
    dense: float


# By the beginning of `DeviceType.architecture`; the last one is for all others.
COSTS: Sequence[tuple[str, Costs]] = (
    ("cortex-m4", Costs(4.0, 9.0, 3.0)),
    ("cortex-m7", Costs(4.0, 9.0, 3.0)),
    ("cortex-m33", Costs(4.0, 9.0, 3.0)),
    ("", Costs(7.0, 11.0, 6.0)),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What one inference takes."""

    macs: int
    instructions: int


def costs_of(architecture: str) -> Costs:
    """Return the coefficients of an architecture."""
    return next(costs for prefix, costs in COSTS if architecture.startswith(prefix))


def macs_of(op: Operator, tensors: Sequence[TensorRecord]) -> int:
    """Multiply-accumulates of one operator."""
    x, y = tensors[op.input], tensors[op.output]
    if isinstance(op, Conv2D):
        return y.elements * op.kernel_h * op.kernel_w * x.dims[3] // op.groups
    if isinstance(op, DepthwiseConv2D):
        return y.elements * op.kernel_h * op.kernel_w
    if isinstance(op, FullyConnected):
        return y.elements * x.dims[3]
    return 0


def estimate(data: bytes, architecture: str) -> Work:
    """Return the estimated work of a pack."""
    pack = disassemble(data)
    if pack.kind is Kind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        plan = decode_plan(pack.section(SectionId.PLAN))
        costs = costs_of(architecture)
        total = sum(_instructions(op, tensors, costs) for op in plan)
        return Work(sum(macs_of(op, tensors) for op in plan), round(total))
    if pack.kind is Kind.TREE_ENSEMBLE:
        window = decode_features(pack.section(SectionId.FEATURES))
        forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
        sensing = window.samples * window.channels * PER_SAMPLE if window.samples > 1 else 0
        return Work(0, sensing + _walking(forest))
    return Work(len(pack.section(SectionId.THRESHOLD)), 8 * len(pack.section(SectionId.THRESHOLD)))


def _walking(forest: Forest) -> int:
    """With jumps a path is walked, without them every node is read over once."""
    nodes = [node_count(tree) for tree in forest.trees]
    if forest.jump_bits:
        return sum(PER_JUMP * max(1, count.bit_length()) for count in nodes)
    return sum(PER_NODE * count for count in nodes)


def _instructions(op: Operator, tensors: Sequence[TensorRecord], costs: Costs) -> float:
    y = tensors[op.output]
    macs = macs_of(op, tensors)
    if isinstance(op, DepthwiseConv2D):
        return macs * costs.depthwise + y.elements * PER_OUTPUT
    if macs:
        return macs * (costs.dense if isinstance(op, FullyConnected) else costs.convolution) + y.elements * PER_OUTPUT
    if isinstance(op, (AveragePool, MaxPool)):
        return y.elements * (PER_OUTPUT + 8 * op.kernel_h * op.kernel_w)
    elements = max(y.elements, tensors[op.input].elements)
    return elements * (SOFTMAX_PER_ELEMENT if isinstance(op, Softmax) else PER_ELEMENT)
