# SPDX-License-Identifier: Apache-2.0
"""Anomaly scores of isolation forests, and the integers that devices compare with (docs/specs/pack.md section 3)."""

from __future__ import annotations

import math

from reconciler.compiler.pack.forest_head import DEPTH_UNIT

_EULER = 0.5772156649015329


def average_path_length(count: int) -> float:
    """Return c(n), the mean depth of an unsuccessful search in a random tree of n points."""
    if count <= 1:
        return 0.0
    if count == 2:  # noqa: PLR2004 - by definition
        return 1.0
    return 2.0 * (math.log(count - 1.0) + _EULER) - 2.0 * (count - 1.0) / count


def isolation_limit(subsample: int, trees: int, score: float) -> int:
    """Return the sum of depths below which a row is more anomalous than `score`, which lies between 0 and 1."""
    return round(-math.log2(score) * average_path_length(subsample) * trees * DEPTH_UNIT)


def isolation_score(subsample: int, trees: int, total: float) -> float:
    """Return the score that a sum of depths stands for: the inverse of `isolation_limit`, before it rounds."""
    return float(2.0 ** (-total / (average_path_length(subsample) * trees * DEPTH_UNIT)))
