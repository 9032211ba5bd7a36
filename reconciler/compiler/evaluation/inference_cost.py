# SPDX-License-Identifier: Apache-2.0
"""Estimates the cost of one inference from the pack alone.

The coefficients are numbers of instructions by kind of work. They are fitted, operator by operator, to runs
of the C engine on emulated boards that count instructions; tests/firmware/test_estimate.py compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.pack.features_section import FeatureWindow, Statistic, decode_features
from reconciler.compiler.pack.forest_section import Forest, decode_forest, node_count
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.operators import (
    AveragePool,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool,
    Operator,
    Softmax,
)
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.pack.plan_section import TensorRecord, decode_plan, decode_tensors, macs_of

CYCLES_PER_INSTRUCTION = 1.5  # on small cores: loads, flash wait states and taken branches
LANES = 4  # a depthwise convolution computes this many channels at a time
POWERS = frozenset({Statistic.SKEWNESS, Statistic.KURTOSIS})
DEVIATIONS = frozenset({Statistic.PEAK, Statistic.CREST, Statistic.ZERO_CROSSINGS})


@dataclass(frozen=True, slots=True)
class FeaturePassCost:
    """Instructions for one channel whose features need a given number of passes over its samples."""

    channel: float
    sample: float  # of all passes together


@dataclass(frozen=True, slots=True)
class CostCoefficients:
    """Instructions for each piece of work in an inference."""

    start: float
    input: float  # per element
    convolution_mac: float
    convolution_row: float  # per row of the kernel and output
    convolution_output: float
    depthwise_mac: float
    depthwise_output: float
    dense_mac: float
    dense_output: float
    pool_tap: float
    element: float  # of ADD, MUL and other elementwise operators
    softmax_element: float
    sums: FeaturePassCost
    deviations: FeaturePassCost
    powers: FeaturePassCost
    node: float  # of a tree without jumps, which is read in full
    level: float  # of a tree with jumps, in which one path is walked


_DSP = CostCoefficients(
    start=1450,
    input=4.1,
    convolution_mac=1.55,
    convolution_row=13.8,
    convolution_output=38,
    depthwise_mac=3.8,
    depthwise_output=45,
    dense_mac=2.05,
    dense_output=84,
    pool_tap=10.1,
    element=97,
    softmax_element=347,
    sums=FeaturePassCost(2500, 46),
    deviations=FeaturePassCost(2700, 97),
    powers=FeaturePassCost(7000, 162),
    node=24,
    level=98,
)
_PLAIN = CostCoefficients(
    start=1950,
    input=6.4,
    convolution_mac=4.06,
    convolution_row=6.9,
    convolution_output=55,
    depthwise_mac=5.2,
    depthwise_output=65,
    dense_mac=5.55,
    dense_output=75,
    pool_tap=7.4,
    element=104,
    softmax_element=430,
    sums=FeaturePassCost(4200, 95),
    deviations=FeaturePassCost(5000, 198),
    powers=FeaturePassCost(11300, 326),
    node=82,
    level=217,
)
# By prefix of `DeviceType.architecture`: cores that multiply two pairs of 16 bits at once, and all others.
COEFFICIENTS: Sequence[tuple[str, CostCoefficients]] = (
    ("cortex-m4", _DSP),
    ("cortex-m7", _DSP),
    ("cortex-m33", _DSP),
    ("", _PLAIN),
)


@dataclass(frozen=True, slots=True)
class InferenceCost:
    """The estimated cost of one inference."""

    macs: int
    instructions: int


def coefficients_for(architecture: str) -> CostCoefficients:
    """Return the coefficients of an architecture."""
    return next(costs for prefix, costs in COEFFICIENTS if architecture.startswith(prefix))


def estimate_cost(data: bytes, architecture: str) -> InferenceCost:
    """Estimate the cost of one inference of a pack."""
    pack = disassemble(data)
    costs = coefficients_for(architecture)
    if pack.kind is PackKind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        plan = decode_plan(pack.section(SectionId.PLAN))
        inputs, _ = decode_io(pack.section(SectionId.IO))
        total = costs.start + costs.input * sum(item.elements for item in inputs)
        total += sum(_operator_cost(op, tensors, costs) for op in plan)
        return InferenceCost(sum(macs_of(op, tensors) for op in plan), round(total))
    if pack.kind is PackKind.TREE_ENSEMBLE:
        window = decode_features(pack.section(SectionId.FEATURES))
        forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
        return InferenceCost(0, round(costs.start + _features_cost(window, costs) + _trees_cost(forest, costs)))
    macs = len(pack.section(SectionId.THRESHOLD))
    return InferenceCost(macs, round(macs * costs.dense_mac))


def _features_cost(window: FeatureWindow, costs: CostCoefficients) -> float:
    """Each channel is read once, twice or three times, as its features require."""
    total = 0.0
    for channel in {feature.channel for feature in window.features}:
        wanted = {feature.statistic for feature in window.features if feature.channel == channel}
        passes = costs.powers if wanted & POWERS else costs.deviations if wanted & DEVIATIONS else costs.sums
        total += passes.channel + passes.sample * window.samples
    return total


def _trees_cost(forest: Forest, costs: CostCoefficients) -> float:
    """With jumps one path of a tree is walked; without them every node is read once."""
    nodes = [node_count(tree) for tree in forest.trees]
    if forest.jump_bits:
        return sum(costs.level * max(1, count.bit_length() - 1) for count in nodes)
    return sum(costs.node * count for count in nodes)


def _operator_cost(op: Operator, tensors: Sequence[TensorRecord], costs: CostCoefficients) -> float:
    outputs, macs = tensors[op.output].elements, macs_of(op, tensors)
    if isinstance(op, DepthwiseConv2D):
        channels = tensors[op.output].dims[3]
        in_lanes = -(-channels // LANES) * LANES / channels
        return in_lanes * (macs * costs.depthwise_mac + outputs * costs.depthwise_output)
    if isinstance(op, Conv2D):
        return macs * costs.convolution_mac + outputs * (costs.convolution_output + op.kernel_h * costs.convolution_row)
    if isinstance(op, FullyConnected):
        return macs * costs.dense_mac + outputs * costs.dense_output
    if isinstance(op, (AveragePool, MaxPool)):
        return outputs * op.kernel_h * op.kernel_w * costs.pool_tap
    elements = max(outputs, tensors[op.input].elements)
    return elements * (costs.softmax_element if isinstance(op, Softmax) else costs.element)
