# SPDX-License-Identifier: Apache-2.0
"""Packs of random isolation forests, from which packages are made."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.features_section import FeatureWindow
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest
from reconciler.compiler.pack.isolation_score import isolation_limit
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from tests.compiler.random_forests import random_tree

SUBSAMPLE = 100
THRESHOLD = 60000  # in 1/2048 of a split


def documented_forest(seed: int, window: FeatureWindow, *, threshold: float = 0.5) -> bytes:
    """Return the pack of a random isolation forest whose document states this threshold."""
    return isolation_forest(seed, window, trees=4, limit=isolation_limit(SUBSAMPLE, 4, threshold))


def isolation_forest(
    seed: int, window: FeatureWindow, *, bits: int = 16, trees: int = 8, limit: int = THRESHOLD
) -> bytes:
    """Return the pack of a random isolation forest."""
    rng = np.random.default_rng(seed)
    features = len(window.features)
    grown = tuple(random_tree(rng, int(rng.integers(2, 8)), (features, bits, 12)) for _ in range(trees))
    table = rng.integers(0, 9000, (12, 1)).astype(np.int16)
    forest = Forest(ForestMode.ISOLATION, bits, grown, table, features, 0, SUBSAMPLE)
    parameter = Parameter(name_hash("threshold"), limit, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)
    return assemble_forest(forest, window, [parameter])
