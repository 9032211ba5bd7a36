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

PER_OPERATOR = 1500
CYCLES_PER_INSTRUCTION = 1.5  # loads, flash wait states and taken branches, on small cores


@dataclass(frozen=True, slots=True)
class Costs:
    """Instructions for the pieces of which inferences are made."""

    convolution_mac: float
    convolution_row: float  # a row of the kernel, for one output
    convolution_output: float
    depthwise_mac: float
    depthwise_output: float
    dense_mac: float
    dense_output: float
    pool_tap: float
    element: float  # of ADD, MUL and their kin
    softmax_element: float
    sample: float  # of a window, for all its statistics
    node: float  # of a tree that is read over
    level: float  # of a tree with jumps


_DSP = Costs(1.9, 21, 60, 5, 80, 2.05, 90, 14, 117, 375, 130, 31, 98)
_PLAIN = Costs(4.4, 15, 55, 6, 85, 5.65, 60, 14, 115, 470, 250, 92, 217)
# By the beginning of `DeviceType.architecture`: cores that multiply two pairs of 16 bits at once; all others.
COSTS: Sequence[tuple[str, Costs]] = (("cortex-m4", _DSP), ("cortex-m7", _DSP), ("cortex-m33", _DSP), ("", _PLAIN))


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
    costs = costs_of(architecture)
    if pack.kind is Kind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        plan = decode_plan(pack.section(SectionId.PLAN))
        total = sum(_instructions(op, tensors, costs) + PER_OPERATOR for op in plan)
        return Work(sum(macs_of(op, tensors) for op in plan), round(total))
    if pack.kind is Kind.TREE_ENSEMBLE:
        window = decode_features(pack.section(SectionId.FEATURES))
        forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
        used = len({feature.channel for feature in window.features}) if window.samples > 1 else 0
        return Work(0, round(window.samples * used * costs.sample + _walking(forest, costs)))
    macs = len(pack.section(SectionId.THRESHOLD))
    return Work(macs, round(macs * costs.dense_mac))


def _walking(forest: Forest, costs: Costs) -> float:
    """With jumps a path is walked, without them every node is read over once."""
    nodes = [node_count(tree) for tree in forest.trees]
    if forest.jump_bits:
        return sum(costs.level * max(1, count.bit_length() - 1) for count in nodes)
    return sum(costs.node * count for count in nodes)


def _instructions(op: Operator, tensors: Sequence[TensorRecord], costs: Costs) -> float:
    outputs, macs = tensors[op.output].elements, macs_of(op, tensors)
    if isinstance(op, DepthwiseConv2D):
        return macs * costs.depthwise_mac + outputs * costs.depthwise_output
    if isinstance(op, Conv2D):
        return macs * costs.convolution_mac + outputs * (costs.convolution_output + op.kernel_h * costs.convolution_row)
    if isinstance(op, FullyConnected):
        return macs * costs.dense_mac + outputs * costs.dense_output
    if isinstance(op, (AveragePool, MaxPool)):
        return outputs * op.kernel_h * op.kernel_w * costs.pool_tap
    elements = max(outputs, tensors[op.input].elements)
    return elements * (costs.softmax_element if isinstance(op, Softmax) else costs.element)
