# SPDX-License-Identifier: Apache-2.0
"""The bench of grown forests: rows score as in the reference, and the spread is what chance makes of a gap."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from bench.learning_auc import FORM, AucSamples, BearingRows, compare, forest_scores
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.reference.forest import sums
from reconciler.compiler.reference.growing import grow_forest

pytest.importorskip("sklearn", reason="needs the extra `build`")
pytestmark = pytest.mark.build


def rows(seed: int, count: int, middle: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    chance = np.random.default_rng(seed)
    return np.clip(chance.normal(middle, 3000, (count, FORM.features)), 0, 65_535).astype(np.int64)


def test_rows_score_as_in_the_reference() -> None:
    forest = decode_forest(grow_forest(rows(1, 120, 30_000).tolist(), FORM, 7), FORM.features)
    some = rows(2, 20, 35_000)
    assert forest_scores(forest, some).tolist() == [-sums(forest, row.tolist())[0] for row in some]


def test_a_fault_that_is_far_away_is_found_by_both_sides() -> None:
    data = BearingRows(2, rows(1, 120, 30_000), rows(2, 40, 30_000), (((0.9, 1.0), rows(3, 40, 55_000)),))
    (found,) = compare(data, seeds=2)
    assert (found.grown, found.other) == ([1.0, 1.0], [1.0, 1.0])
    assert "bearing 3, 90 to 100 % of life" in str(found)


def test_the_spread_is_two_standard_errors_of_the_gap() -> None:
    found = AucSamples("a set", [0.90, 0.92, 0.94], [0.91, 0.93, 0.98])
    assert found.gap == pytest.approx(0.02)
    assert found.spread == pytest.approx(2 * sqrt((0.02**2 + 0.036055512**2) / 3))
