# SPDX-License-Identifier: Apache-2.0
"""Random forests for vectors and property tests, made without training."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Split, Tree
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash


def random_tree(rng: np.random.Generator, depth: int, limits: tuple[int, int, int]) -> Tree:
    """Return a tree of at most that depth: limits are features, threshold bits, rows."""
    features, bits, rows = limits
    if depth == 0 or rng.integers(0, 5) == 0:
        return Leaf(int(rng.integers(0, rows)))
    feature, threshold = int(rng.integers(0, features)), int(rng.integers(0, 1 << bits))
    left = random_tree(rng, depth - 1, limits)
    return Split(feature, threshold, left, random_tree(rng, depth - 1, limits))


def random_forest(
    rng: np.random.Generator, mode: ForestMode, features: int, *, bits: int, jump_bits: int = 0
) -> Forest:
    """Return a forest with random trees and a random leaf table."""
    rows, outputs = int(rng.integers(1, 20)), int(rng.integers(2, 6)) if mode is ForestMode.CLASSIFICATION else 1
    count = int(rng.integers(1, 8))
    trees = tuple(random_tree(rng, int(rng.integers(1, 7)), (features, bits, rows)) for _ in range(count))
    table = rng.integers(-3000, 3000, (rows, outputs)).astype(np.int16)
    return Forest(mode, bits, trees, table, features, jump_bits, 100 if mode is ForestMode.ISOLATION else 0)


def all_statistics(bits: int, samples: int, channels: int) -> FeatureWindow:
    """A window that uses every statistic."""
    features = tuple(
        Feature(statistic, i % channels, 12, -1000 if statistic is not Statistic.ZERO_CROSSINGS else 0, 1 << (bits - 2))
        for i, statistic in enumerate(Statistic)
    )
    return FeatureWindow(samples, channels, features)


def forest_packs() -> dict[str, bytes]:
    """One pack for each mode, and one with jumps."""
    packs = {}
    for number, mode in enumerate(ForestMode):
        for jump_bits in (0, 16):
            rng = np.random.default_rng(100 + number)
            window = all_statistics(8, 24, 2)
            forest = random_forest(rng, mode, len(window.features), bits=8, jump_bits=jump_bits)
            encoding = ParameterEncoding.ISOLATION_SCORE if mode is ForestMode.ISOLATION else ParameterEncoding.LINEAR
            parameter = Parameter(name_hash("threshold"), 20000, -(1 << 31), (1 << 31) - 1, encoding)
            name = f"forest {mode.name.lower()}{' with jumps' if jump_bits else ''}"
            packs[name] = assemble_forest(forest, window, [parameter])
    return packs
