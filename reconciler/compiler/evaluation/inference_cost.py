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
        Work.START: 1409,
        Work.INPUT_VALUE: 5.711,
        Work.PLAIN_OUTPUT: 116,
        Work.PLAIN_RUN: 35.4,
        Work.PLAIN_QUAD: 13.76,
        Work.PLAIN_PRODUCT: 6.261,
        Work.PLAIN_TAP_OUTSIDE: 78.74,
        Work.WINDOW: 99.36,
        Work.WINDOW_ROW: 73.12,
        Work.WINDOW_QUAD: 9.892,
        Work.WINDOW_BYTE: 10.43,
        Work.PAIR: 97.34,
        Work.PAIR_QUAD: 21.14,
        Work.PLANE: 163.4,
        Work.PLANE_LINE: 11.47,
        Work.PLANE_VALUE: 3.644,
        Work.WINDOW_3X3: 33.12,
        Work.OTHER_WINDOW: 29.09,
        Work.OTHER_WINDOW_ROW: 9.495,
        Work.OTHER_WINDOW_PAIR: 8.486,
        Work.DENSE_OUTPUT: 128.9,
        Work.DENSE_QUAD: 10.62,
        Work.DENSE_PRODUCT: 6.17,
        Work.WIDE_DENSE_OUTPUT: 66.41,
        Work.WIDE_DENSE_QUAD: 24.52,
        Work.POOL_OUTPUT: 27.41,
        Work.POOL_ROW: 16.71,
        Work.POOL_TAP: 5.302,
        Work.SUM: 23.42,
        Work.LOOKUP: 4.841,
        Work.PRODUCT: 53.92,
        Work.REQUANTIZED_VALUE: 33.53,
        Work.MEAN_VALUE: 44.15,
        Work.COPIED_VALUE: 6.995,
        Work.SOFTMAX_VALUE: 348.4,
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
        Work.START: 1569,
        Work.INPUT_VALUE: 7.967,
        Work.PLAIN_OUTPUT: 101.4,
        Work.PLAIN_RUN: 33.12,
        Work.PLAIN_QUAD: 34.71,
        Work.PLAIN_PRODUCT: 10.29,
        Work.PLAIN_TAP_OUTSIDE: 52.34,
        Work.WINDOW: 95.59,
        Work.WINDOW_ROW: 71.82,
        Work.WINDOW_QUAD: 27.85,
        Work.WINDOW_BYTE: 9.15,
        Work.PAIR: 189.1,
        Work.PAIR_QUAD: 78.39,
        Work.PLANE: 185.2,
        Work.PLANE_LINE: 10.15,
        Work.PLANE_VALUE: 3.017,
        Work.WINDOW_3X3: 70.33,
        Work.OTHER_WINDOW: 29.03,
        Work.OTHER_WINDOW_ROW: 9.461,
        Work.OTHER_WINDOW_PAIR: 10.83,
        Work.DENSE_OUTPUT: 114.5,
        Work.DENSE_QUAD: 28.2,
        Work.DENSE_PRODUCT: 7.713,
        Work.WIDE_DENSE_OUTPUT: 66.87,
        Work.WIDE_DENSE_QUAD: 54.51,
        Work.POOL_OUTPUT: 29.46,
        Work.POOL_ROW: 16.84,
        Work.POOL_TAP: 5.054,
        Work.SUM: 57.2,
        Work.LOOKUP: 7.686,
        Work.PRODUCT: 51.68,
        Work.REQUANTIZED_VALUE: 38.43,
        Work.MEAN_VALUE: 42.16,
        Work.COPIED_VALUE: 7.77,
        Work.SOFTMAX_VALUE: 429,
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
