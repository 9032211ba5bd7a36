# SPDX-License-Identifier: Apache-2.0
"""Many samples at once give the decisions that a device makes one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.features_section import FeatureWindow
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.pool.forest_evaluation import ForestEvaluation
from reconciler.compiler.pool.messages import SampleRows, WindowLayout
from reconciler.compiler.reference.forest import raw_features
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from tests.compiler.random_forests import all_statistics, random_forest

INT16 = 2


def pack_of(seed: int, mode: ForestMode, bits: int, window: FeatureWindow) -> bytes:
    forest = random_forest(np.random.default_rng(seed), mode, len(window.features), bits=bits)
    if mode is ForestMode.ISOLATION:
        parameter = Parameter(name_hash("threshold"), 20_000, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)
    else:
        parameter = Parameter(name_hash("threshold"), 100, -(1 << 31), (1 << 31) - 1)
    return assemble_forest(forest, window, [parameter])


def windows_of(seed: int, count: int, window: FeatureWindow) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = rng.integers(1, 32_000, (count, 1))
    return (rng.uniform(-1, 1, (count, window.samples * window.channels)) * spread).astype("<i2")


def decisions(pack: bytes, windows: np.ndarray, threshold: float | None) -> list[int]:
    reference = ReferenceInterpreter(pack)
    values = None if threshold is None else [encode_values(pack, {"threshold": threshold})[0]]
    return [int(reference.run([window.tobytes()], values).decision != 0) for window in windows]


def with_windows(windows: np.ndarray) -> SampleRows:
    return SampleRows(WindowLayout(INT16), len(windows), b"", windows.tobytes())


def with_features(windows: np.ndarray, window: FeatureWindow) -> SampleRows:
    """What a device records of these windows, with its features in another order than the trees want them."""
    statistics = tuple((int(feature.statistic), feature.channel) for feature in reversed(window.features))
    shaped = windows.reshape(len(windows), window.samples, window.channels)
    raw = [
        [raw_features(row[:, feature.channel].tolist())[feature.statistic] for feature in reversed(window.features)]
        for row in shaped
    ]
    layout = WindowLayout(samples=window.samples, channels=window.channels, statistics=statistics)
    return SampleRows(layout, len(windows), np.array(raw, "<i4").tobytes(), b"")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(ForestMode),
    bits=st.sampled_from([8, 16]),
    channels=st.integers(1, 3),
)
def test_votes_are_the_decisions_of_the_reference(seed: int, mode: ForestMode, bits: int, channels: int) -> None:
    window = all_statistics(bits, 24, channels)
    pack, windows = pack_of(seed, mode, bits, window), windows_of(seed, 12, window)
    thresholds = [None, 0.4, 0.6] if mode is ForestMode.ISOLATION else [None, 250.0]
    expected = [decisions(pack, windows, threshold) for threshold in thresholds]
    evaluation = ForestEvaluation(pack)
    assert evaluation.vote(with_windows(windows), thresholds).tolist() == expected
    assert evaluation.vote(with_features(windows, window), thresholds).tolist() == expected


@pytest.mark.parametrize("lacking", ["window", "length", "type"])
def test_it_abstains_from_what_it_cannot_compute(lacking: str) -> None:
    window = all_statistics(8, 24, 1)
    evaluation = ForestEvaluation(pack_of(1, ForestMode.ISOLATION, 8, window))
    windows = windows_of(1, 3, window)
    rows = {
        "window": SampleRows(WindowLayout(), 3, b"", b""),
        "length": with_windows(windows[:, :20]),
        "type": SampleRows(WindowLayout(1), 3, b"", windows.tobytes()),
    }[lacking]
    assert evaluation.vote(rows, [None, 0.5]).tolist() == [[-1] * 3] * 2


def test_features_of_another_window_are_not_taken() -> None:
    window = all_statistics(8, 24, 1)
    evaluation = ForestEvaluation(pack_of(1, ForestMode.ISOLATION, 8, window))
    longer = all_statistics(8, 48, 1)
    assert evaluation.vote(with_features(windows_of(1, 3, longer), longer), [None]).tolist() == [[-1] * 3]
