# SPDX-License-Identifier: Apache-2.0
"""Window features and tree ensembles, as docs/specs/pack.md sections 7 and 8.4 define them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic, decode_features
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Tree, decode_forest

Ints = npt.NDArray[np.int64]


def _truncated(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def raw_features(samples: Sequence[int]) -> dict[Statistic, int]:
    """Return every statistic of one channel, each in its raw unit."""
    n = len(samples)
    s1, s2 = sum(samples), sum(x * x for x in samples)
    v_exact = n * s2 - s1 * s1
    mean = _truncated(16 * s1 + (n // 2 if s1 >= 0 else -(n // 2)), n)
    d = [16 * x - mean for x in samples]
    peak = max(abs(value) for value in d)
    std = math.isqrt((v_exact * 256) // (n * n) * 256)
    skewness, kurtosis = _shape(d, peak)
    return {
        Statistic.VALUE: samples[-1],
        Statistic.MEAN: mean,
        Statistic.VARIANCE: v_exact // (n * n),
        Statistic.STD: std,
        Statistic.RMS: math.isqrt((s2 * 65536) // n),
        Statistic.SKEWNESS: skewness,
        Statistic.KURTOSIS: kurtosis,
        Statistic.PEAK: peak,
        Statistic.CREST: (peak * 16 * 1024) // std if std else 0,
        Statistic.ZERO_CROSSINGS: sum((a < 0) != (b < 0) for a, b in itertools.pairwise(d)),
        Statistic.MIN: min(samples),
        Statistic.MAX: max(samples),
    }


def _shape(d: Sequence[int], peak: int) -> tuple[int, int]:
    """Return skewness and kurtosis. The values are scaled to twelve bits, so that 64 bits hold every sum."""
    n = len(d)
    excess = peak.bit_length() - 12
    z = [(x + (1 << (excess - 1))) >> excess if excess > 0 else x << -excess for x in d]
    v = (sum(x * x for x in z) * 256) // n
    if v == 0:
        return 0, 0
    sigma = math.isqrt(v << 24)
    skewness = _truncated(_truncated(sum(x**3 for x in z), n) * 1024, (v * (sigma >> 8)) >> 16)
    kurtosis = (sum(x**4 for x in z) // n * 1024) // (((v >> 4) * (v >> 4)) >> 8)
    return skewness, kurtosis


def scaled_feature(feature: Feature, raw: int, bits: int) -> int:
    """Scale a raw feature to the range of the thresholds."""
    difference = min(max(raw - feature.offset, -(1 << 31)), (1 << 31) - 1)
    scaled = (difference * feature.multiplier + ((1 << feature.shift) >> 1)) >> feature.shift
    return min(max(scaled, 0), (1 << bits) - 1)


def tree_inputs(window: FeatureWindow, x: Ints, bits: int) -> list[int]:
    """Return the trees' inputs for one window [samples, channels]."""
    shaped = x.reshape(window.samples, window.channels)
    raw = {
        channel: raw_features([int(v) for v in shaped[:, channel]]) for channel in {f.channel for f in window.features}
    }
    return [scaled_feature(f, raw[f.channel][f.statistic], bits) for f in window.features]


def walk(tree: Tree, y: Sequence[int]) -> tuple[int, int]:
    """Return the row and the depth of the leaf that an input reaches."""
    depth = 0
    while not isinstance(tree, Leaf):
        tree = tree.left if y[tree.feature] <= tree.threshold else tree.right
        depth += 1
    return tree.row, depth


def sums(forest: Forest, y: Sequence[int]) -> list[int]:
    """Return the sums over all trees."""
    total = np.zeros(forest.outputs, np.int64)
    for tree in forest.trees:
        row, depth = walk(tree, y)
        total += forest.table[row].astype(np.int64) + depth * forest.depth_unit
    return [int(v) for v in total]


def run_forest(features: bytes, forest: bytes, x: Ints, values: Sequence[int]) -> tuple[list[int], int]:
    """Return the output numbers, with the decision first, and the score."""
    window = decode_features(features)
    trees = decode_forest(forest, len(window.features))
    total = sums(trees, tree_inputs(window, x, trees.threshold_bits))
    if trees.mode is ForestMode.CLASSIFICATION:
        decision = total.index(max(total))
        return [decision, *total], total[decision]
    if trees.mode is ForestMode.ISOLATION:
        return [int(total[0] < values[0]), *total], total[0]
    return [int(bool(values) and total[0] > values[0]), *total], total[0]
