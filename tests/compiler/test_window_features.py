# SPDX-License-Identifier: Apache-2.0
"""Features of windows in integers, against their statistics in floating point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.features_section import FeatureWindow, Statistic, decode_features, encode_features
from reconciler.compiler.reference.forest import raw_features, scaled_feature, tree_inputs
from tests.compiler.random_forests import all_statistics


def float_features(x: np.ndarray) -> dict[Statistic, float]:
    d = x - x.mean()
    std = math.sqrt((d**2).mean())
    return {
        Statistic.VALUE: float(x[-1]),
        Statistic.MEAN: float(x.mean()),
        Statistic.VARIANCE: std**2,
        Statistic.STD: std,
        Statistic.RMS: math.sqrt((x**2).mean()),
        Statistic.SKEWNESS: float((d**3).mean()) / std**3 if std else 0.0,
        Statistic.KURTOSIS: float((d**4).mean()) / std**4 if std else 0.0,
        Statistic.PEAK: float(np.abs(d).max()),
        Statistic.CREST: float(np.abs(d).max()) / std if std else 0.0,
        Statistic.MIN: float(x.min()),
        Statistic.MAX: float(x.max()),
    }


UNITS = {
    Statistic.MEAN: 16, Statistic.STD: 256, Statistic.RMS: 256, Statistic.SKEWNESS: 1024,
    Statistic.KURTOSIS: 1024, Statistic.PEAK: 16, Statistic.CREST: 1024,
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.integers(20, 32767), samples=st.integers(8, 300))
def test_integer_features_approximate_the_statistics(seed: int, spread: int, samples: int) -> None:
    x = np.random.default_rng(seed).integers(-spread - 1, spread + 1, samples)
    raw = raw_features([int(v) for v in x])
    for statistic, real in float_features(x.astype(float)).items():
        unit = UNITS.get(statistic, 1)
        slack = 0.02 if statistic is Statistic.SKEWNESS else 2 / unit  # a difference of large sums when it is small
        assert abs(raw[statistic] / unit - real) <= slack + 0.005 * abs(real), statistic


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([[-32768, 32767] * 2048, [32767] * 4096, [-32768] * 4095 + [32767], [0] * 4096, [7]]))
def test_features_fit_64_bits_at_the_extremes(samples: list[int]) -> None:
    raw = raw_features(samples)
    assert all(-(1 << 63) <= value < 1 << 63 for value in raw.values())
    window = all_statistics(16, 1, 1)
    assert all(0 <= scaled_feature(f, raw[f.statistic], 16) <= 65535 for f in window.features)


def test_a_window_is_decoded_as_encoded() -> None:
    window = all_statistics(8, 24, 2)
    assert decode_features(encode_features(window)) == window
    x = np.random.default_rng(1).integers(-32768, 32768, 48)
    assert all(0 <= value <= 255 for value in tree_inputs(window, x, 8))


def test_a_window_with_counts_out_of_range_is_refused() -> None:
    good = encode_features(all_statistics(8, 24, 2))
    for damaged in (good[:-1], b"", good[:2] + b"\0" + good[3:], encode_features(FeatureWindow(0, 1, ()))):
        with pytest.raises(PackMalformed):
            decode_features(damaged)
