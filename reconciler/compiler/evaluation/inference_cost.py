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

CYCLES_PER_INSTRUCTION = 1.5  # on small cores: loads, flash wait states and taken branches
ESTIMATE_OFF_PERCENT = 15  # at most, on networks that the fit has not seen (tests/firmware/test_estimate.py)
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
        Work.START: 1623,
        Work.INPUT_VALUE: 4.417,
        Work.PLAIN_OUTPUT: 168.5,
        Work.PLAIN_RUN: 38.7,
        Work.PLAIN_QUAD: 11,
        Work.PLAIN_PRODUCT: 6.758,
        Work.PLAIN_TAP_OUTSIDE: 21.61,
        Work.WINDOW: 114.1,
        Work.WINDOW_ROW: 84.7,
        Work.WINDOW_QUAD: 8.991,
        Work.PAIR: 99.04,
        Work.PAIR_QUAD: 21.15,
        Work.PLANE: 228.6,
        Work.PLANE_LINE: 9.537,
        Work.PLANE_VALUE: 3.298,
        Work.WINDOW_3X3: 34.02,
        Work.OTHER_WINDOW: 30,
        Work.OTHER_WINDOW_ROW: 10,
        Work.OTHER_WINDOW_PAIR: 10,
        Work.DENSE_OUTPUT: 95.83,
        Work.DENSE_PRODUCT: 3.684,
        Work.WIDE_DENSE_QUAD: 22.29,
        Work.POOL_OUTPUT: 79.93,
        Work.POOL_ROW: 20,
        Work.POOL_TAP: 6.1,
        Work.SUM: 25.29,
        Work.LOOKUP: 4.911,
        Work.PRODUCT: 60,
        Work.REQUANTIZED_VALUE: 34.66,
        Work.MEAN_VALUE: 40,
        Work.COPIED_VALUE: 10,
        Work.SOFTMAX_VALUE: 298.4,
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
        Work.START: 2238,
        Work.INPUT_VALUE: 5.964,
        Work.PLAIN_OUTPUT: 150.8,
        Work.PLAIN_RUN: 36.18,
        Work.PLAIN_QUAD: 35.58,
        Work.PLAIN_PRODUCT: 8.239,
        Work.PLAIN_TAP_OUTSIDE: 15.33,
        Work.WINDOW: 115,
        Work.WINDOW_ROW: 62.03,
        Work.WINDOW_QUAD: 17.29,
        Work.PAIR: 185.9,
        Work.PAIR_QUAD: 82.25,
        Work.PLANE: 150.2,
        Work.PLANE_LINE: 9.355,
        Work.PLANE_VALUE: 5.929,
        Work.WINDOW_3X3: 68.26,
        Work.OTHER_WINDOW: 30,
        Work.OTHER_WINDOW_ROW: 10,
        Work.OTHER_WINDOW_PAIR: 14,
        Work.DENSE_OUTPUT: 60.55,
        Work.DENSE_PRODUCT: 8.376,
        Work.WIDE_DENSE_QUAD: 58.56,
        Work.POOL_OUTPUT: 133.7,
        Work.POOL_ROW: 23.35,
        Work.POOL_TAP: 5.845,
        Work.SUM: 59.72,
        Work.LOOKUP: 5.62,
        Work.PRODUCT: 50.21,
        Work.REQUANTIZED_VALUE: 39.16,
        Work.MEAN_VALUE: 42.44,
        Work.COPIED_VALUE: 6.208,
        Work.SOFTMAX_VALUE: 305.8,
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
