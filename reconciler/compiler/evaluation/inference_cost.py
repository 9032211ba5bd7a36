# SPDX-License-Identifier: Apache-2.0
"""Estimates the cost of one inference from the pack alone.

The coefficients are numbers of instructions by kind of work. `make fit-cost` fits them to runs of the C engine on
emulated boards that count instructions; tests/firmware/test_estimate.py compares the two on other networks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.compiler.evaluation.operator_work import Work, network_work
from reconciler.compiler.pack.features_section import FeatureWindow, Statistic, decode_features
from reconciler.compiler.pack.forest_section import Forest, decode_forest, node_count
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors, macs_of

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

    network: Mapping[Work, float]
    start: float  # of a forest
    threshold_product: float
    sums: FeaturePassCost
    deviations: FeaturePassCost
    powers: FeaturePassCost
    node: float  # of a tree without jumps, which is read in full
    level: float  # of a tree with jumps, in which one path is walked


_DSP = CostCoefficients(
    network={
        Work.START: 1473,
        Work.INPUT_VALUE: 4.957,
        Work.PLAIN_OUTPUT: 108,
        Work.PLAIN_RUN: 40.59,
        Work.PLAIN_QUAD: 11.88,
        Work.PLAIN_PRODUCT: 11.13,
        Work.PLAIN_TAP_OUTSIDE: 24.57,
        Work.PLAIN_VALUE_OUTSIDE: 4.512,
        Work.WINDOW: 144.8,
        Work.WINDOW_ROW: 60.85,
        Work.WINDOW_QUAD: 10.38,
        Work.WINDOW_BYTE: 12,
        Work.PAIR: 95.36,
        Work.PAIR_QUAD: 21.14,
        Work.LONE_PAIR: 0,
        Work.LONE_PAIR_QUAD: 0,
        Work.PLANE: 100.7,
        Work.PLANE_LINE: 21.33,
        Work.PLANE_VALUE: 3.537,
        Work.WINDOW_3X3: 32.98,
        Work.OTHER_WINDOW: 0,
        Work.OTHER_WINDOW_ROW: 0,
        Work.OTHER_WINDOW_PAIR: 13.64,
        Work.DENSE_OUTPUT: 142.4,
        Work.DENSE_QUAD: 9.959,
        Work.DENSE_PRODUCT: 4.703,
        Work.WIDE_DENSE_OUTPUT: 68.43,
        Work.WIDE_DENSE_QUAD: 22.16,
        Work.POOL_OUTPUT: 0,
        Work.POOL_ROW: 53.7,
        Work.POOL_TAP: 4.036,
        Work.SUM: 25.29,
        Work.LOOKUP: 6.213,
        Work.PRODUCT: 50.95,
        Work.PRODUCT_ROW: 80.72,
        Work.REQUANTIZED_VALUE: 34.63,
        Work.MEAN_VALUE: 46.32,
        Work.COPIED_BLOCK: 40.27,
        Work.COPIED_VALUE: 4.708,
        Work.SOFTMAX_VALUE: 347.7,
        Work.MEMORY_FILTER: 85.09,
        Work.MEMORY_VALUE: 8.355,
        Work.GATE: 519.1,
    },
    start=1450,
    threshold_product=2.05,
    sums=FeaturePassCost(2500, 46),
    deviations=FeaturePassCost(2700, 97),
    powers=FeaturePassCost(7000, 162),
    node=24,
    level=98,
)
_PLAIN = CostCoefficients(
    network={
        Work.START: 1716,
        Work.INPUT_VALUE: 7.943,
        Work.PLAIN_OUTPUT: 99.85,
        Work.PLAIN_RUN: 37.13,
        Work.PLAIN_QUAD: 29.11,
        Work.PLAIN_PRODUCT: 12.74,
        Work.PLAIN_TAP_OUTSIDE: 13.2,
        Work.PLAIN_VALUE_OUTSIDE: 6.906,
        Work.WINDOW: 61.13,
        Work.WINDOW_ROW: 78.53,
        Work.WINDOW_QUAD: 8.101,
        Work.WINDOW_BYTE: 13.64,
        Work.PAIR: 231,
        Work.PAIR_QUAD: 68.21,
        Work.LONE_PAIR: 142.3,
        Work.LONE_PAIR_QUAD: 74.36,
        Work.PLANE: 157,
        Work.PLANE_LINE: 18.91,
        Work.PLANE_VALUE: 2.692,
        Work.WINDOW_3X3: 62.43,
        Work.OTHER_WINDOW: 0,
        Work.OTHER_WINDOW_ROW: 0,
        Work.OTHER_WINDOW_PAIR: 15.87,
        Work.DENSE_OUTPUT: 117.5,
        Work.DENSE_QUAD: 27.93,
        Work.DENSE_PRODUCT: 7.301,
        Work.WIDE_DENSE_OUTPUT: 66.68,
        Work.WIDE_DENSE_QUAD: 54.8,
        Work.POOL_OUTPUT: 52.11,
        Work.POOL_ROW: 0,
        Work.POOL_TAP: 3.57,
        Work.SUM: 55.58,
        Work.LOOKUP: 8.276,
        Work.PRODUCT: 47.64,
        Work.PRODUCT_ROW: 72,
        Work.REQUANTIZED_VALUE: 38.71,
        Work.MEAN_VALUE: 44.43,
        Work.COPIED_BLOCK: 30.57,
        Work.COPIED_VALUE: 5.739,
        Work.SOFTMAX_VALUE: 426.6,
        Work.MEMORY_FILTER: 73.28,
        Work.MEMORY_VALUE: 11.56,
        Work.GATE: 601,
    },
    start=1950,
    threshold_product=5.55,
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


def pack_work(data: bytes) -> Counter[Work]:
    """Return the work in an inference of a network."""
    pack = disassemble(data)
    inputs, _ = decode_io(pack.section(SectionId.IO))
    tensors = decode_tensors(pack.section(SectionId.TENSORS))
    return network_work(sum(item.elements for item in inputs), decode_plan(pack.section(SectionId.PLAN)), tensors)


def coefficients_for(architecture: str) -> CostCoefficients:
    """Return the coefficients of an architecture."""
    return next(costs for prefix, costs in COEFFICIENTS if architecture.startswith(prefix))


def estimate_cost(data: bytes, architecture: str) -> InferenceCost:
    """Estimate the cost of one inference of a pack."""
    pack = disassemble(data)
    costs = coefficients_for(architecture)
    if pack.kind is PackKind.NEURAL_NETWORK:
        tensors = decode_tensors(pack.section(SectionId.TENSORS))
        macs = sum(macs_of(op, tensors) for op in decode_plan(pack.section(SectionId.PLAN)))
        work = pack_work(data)
        return InferenceCost(macs, round(sum(costs.network[kind] * amount for kind, amount in work.items())))
    if pack.kind is PackKind.TREE_ENSEMBLE:
        window = decode_features(pack.section(SectionId.FEATURES))
        forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
        return InferenceCost(0, round(costs.start + _features_cost(window, costs) + _trees_cost(forest, costs)))
    macs = len(pack.section(SectionId.THRESHOLD))
    return InferenceCost(macs, round(macs * costs.threshold_product))


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
