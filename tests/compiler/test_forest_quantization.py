# SPDX-License-Identifier: Apache-2.0
"""Grids of thresholds, and the depth of trees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import DoesNotFit
from reconciler.compiler.forest.ensemble import (
    Ensemble,
    ensemble_from_json,
    float_sums,
)
from reconciler.compiler.forest.quantization import ThresholdGrid, fit_grid, quantize_ensemble
from reconciler.compiler.pack.forest_head import ForestMode


def test_a_tree_that_is_too_deep_is_refused() -> None:
    y = np.arange(200.0)[:, None]
    chain: dict[str, list[float]] = {"feature": [], "threshold": [], "left": [], "right": [], "value": []}
    for i in range(70):
        chain["left"] += [2 * i + 1, -1]
        chain["right"] += [2 * i + 2, -1]
        chain["feature"] += [0, 0]
        chain["threshold"] += [float(i), 0.0]
        chain["value"] += [1, 1]
    for name, last in (("left", -1), ("right", -1), ("feature", 0), ("threshold", 0.0), ("value", 1)):
        chain[name].append(last)
    document = {"format": "tinyfleet-forest/1", "mode": "isolation", "features": 1, "subsample": 99, "trees": [chain]}
    ensemble = ensemble_from_json(json.dumps(document).encode())
    assert float_sums(ensemble, y).max() == 70
    with pytest.raises(DoesNotFit, match="maxDepth"):
        quantize_ensemble(ensemble, 8)


@settings(max_examples=200, deadline=None)
@given(
    thresholds=st.lists(st.integers(-(2**28), 2**28), min_size=1, max_size=30),
    bits=st.sampled_from([4, 8, 16]),
    data=st.data(),
)
def test_a_grid_keeps_the_order_and_its_inverse_is_exact(thresholds: list[int], bits: int, data: st.DataObject) -> None:
    grid = fit_grid([float(t) for t in thresholds], bits)
    raw = np.array(sorted(data.draw(st.lists(st.integers(-(2**31), 2**31), min_size=2, max_size=20))), np.int64)
    y = grid.apply(raw, bits)
    assert (np.diff(y) >= 0).all()
    step = data.draw(st.integers(0, (1 << bits) - 2))
    border = grid.max_raw(step)
    assert grid.apply(np.array([border, border + 1]), bits).tolist()[0] <= step
    assert grid.apply(np.array([border + 1]), bits).tolist()[0] > step


@settings(max_examples=200, deadline=None)
@given(thresholds=st.lists(st.floats(-100, 100), min_size=1, max_size=30), raw=st.integers(-300, 300))
def test_a_grid_with_enough_bits_is_exact(thresholds: list[float], raw: int) -> None:
    grid = fit_grid(thresholds, 8)
    for threshold in thresholds:
        y = int(grid.apply(np.array([raw]), 8)[0])
        assert (y <= grid.threshold(threshold, 8)) == (raw <= threshold)


def test_a_feature_without_thresholds_has_an_empty_grid() -> None:
    assert fit_grid([], 8) == ThresholdGrid(0, 0, 0)
    unused = Ensemble(ForestMode.ISOLATION, (), 2, 1, 10)
    assert float_sums(unused, np.zeros((3, 2))).tolist() == [[0.0]] * 3
