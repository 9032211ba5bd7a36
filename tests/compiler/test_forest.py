# SPDX-License-Identifier: Apache-2.0
"""Forests: what the pack decides is what scikit-learn decides, within the bound that the specification proves."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest, RandomForestClassifier

from reconciler.compiler.errors import BuildFailed, DoesNotFit, PackMalformed
from reconciler.compiler.evaluation.datasets import Table
from reconciler.compiler.forest.ensemble import (
    Ensemble,
    Grid,
    float_sums,
    from_classifier,
    from_isolation_forest,
    from_json,
    grid_for,
    quantize,
)
from reconciler.compiler.forest.forest_pack import average_path, isolation_limit
from reconciler.compiler.forest.training import grow, grow_from, score_of
from reconciler.compiler.pack.bitstream import BitReader
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.forest_section import (
    FeatureWindow,
    ForestMode,
    Statistic,
    decode_features,
    decode_forest,
    encode_features,
    encode_forest,
    node_count,
)
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.reference.forest import raw_features, scaled_feature, sums, tree_inputs
from reconciler.compiler.reference.run import Reference
from reconciler.model import FeatureOf, TrainSpec
from tests.compiler.forests import all_statistics, random_forest


def rows(seed: int, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.rint(rng.normal(0, 800, (count, 3)) @ [[1, 0.4, 0.2], [0, 0.8, 0.3], [0, 0, 0.6]]))


def table(seed: int, count: int = 400, labels: np.ndarray | None = None) -> Table:
    return Table(("a", "b", "c"), rows(seed, count), labels)


# ---------------------------------------------------------------- the format


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(list(ForestMode)),
    features=st.integers(1, 32),
    bits=st.integers(4, 16),
    jump_bits=st.sampled_from([0, 14]),
)
def test_a_forest_survives_its_encoding(seed: int, mode: ForestMode, features: int, bits: int, jump_bits: int) -> None:
    forest = random_forest(np.random.default_rng(seed), mode, features, bits=bits, jump_bits=jump_bits)
    encoded = encode_forest(forest)
    decoded = decode_forest(encoded, features)
    assert decoded.trees == forest.trees
    assert (decoded.table == forest.table).all()
    assert encode_forest(decoded) == encoded


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), jump_bits=st.sampled_from([0, 14]), data=st.data())
def test_any_flipped_bit_gives_a_forest_or_a_refusal(seed: int, jump_bits: int, data: st.DataObject) -> None:
    forest = random_forest(np.random.default_rng(seed), ForestMode.ISOLATION, 5, bits=8, jump_bits=jump_bits)
    encoded = bytearray(encode_forest(forest))
    at = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[at // 8] ^= 1 << at % 8
    try:
        spoiled = decode_forest(bytes(encoded), 5)
    except PackMalformed:
        return
    assert all(node_count(tree) >= 1 for tree in spoiled.trees)
    assert len(sums(spoiled, [0] * 5)) == 1


def one_pass_sum(section: bytes, features: int, y: Sequence[int]) -> int:
    """Walk the stream as a device does: forward only, counting what is left to read over."""
    forest = decode_forest(section, features)
    start = 20 + 2 * len(forest.table) + (-2 * len(forest.table) % 4)
    flag, lb = section[1], section[3]
    stream = BitReader(section[start:])

    def leaf() -> int:
        return stream.get(lb) if not flag or stream.get(1) else 0

    def skip(count: int) -> None:
        while count:
            if stream.get(1):
                stream.get((features - 1).bit_length() + forest.threshold_bits)
                count += 1
            else:
                leaf()
                count -= 1

    total = 0
    for _ in forest.trees:
        depth = left_over = 0
        while stream.get(1):
            feature, threshold = stream.get((features - 1).bit_length()), stream.get(forest.threshold_bits)
            if y[feature] <= threshold:
                left_over += 1
            else:
                skip(1)
            depth += 1
        total += int(forest.table[leaf(), 0]) + depth * forest.depth_unit
        skip(left_over)
    return total


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_pass_over_the_stream_finds_the_leaves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, ForestMode.ISOLATION, 4, bits=6)
    y = [int(v) for v in rng.integers(0, 64, 4)]
    assert one_pass_sum(encode_forest(forest), 4, y) == sums(forest, y)[0]


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
    ensemble = from_json(json.dumps(document).encode())
    assert float_sums(ensemble, y).max() == 70
    with pytest.raises(DoesNotFit, match="maxDepth"):
        quantize(ensemble, 8)


# ---------------------------------------------------------------- against scikit-learn


@pytest.mark.parametrize("trees", [1, 10, 50])
def test_the_exact_ensemble_scores_as_scikit_learn(trees: int) -> None:
    train, judged = rows(1), rows(2, 1000)
    model = IsolationForest(n_estimators=trees, max_samples=100, random_state=3).fit(train)
    ensemble = from_isolation_forest(model)
    paths = float_sums(ensemble, judged)[:, 0]
    assert np.allclose(2.0 ** (-paths / (trees * average_path(100))), -model.score_samples(judged), atol=1e-12)


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_the_exact_classifier_votes_as_scikit_learn(kind: type) -> None:
    train, judged = rows(1), rows(2, 1000)
    labels = (train[:, 0] > 300).astype(int) + (train[:, 1] > 0)
    model = kind(n_estimators=20, max_depth=8, random_state=3).fit(train, labels)
    votes = float_sums(from_classifier(model), judged) / 20
    assert np.allclose(votes, model.predict_proba(judged), atol=1e-12)


@pytest.mark.parametrize("trees", [10, 50])
def test_sixteen_bits_change_no_decision(trees: int) -> None:
    train = TrainSpec("isolation-forest", trees, 100, 7)
    grown = grow(table(1), train, scheme="int16", parameters={"threshold": 0.6})
    judged = rows(2, 4000)
    device, exact = grown.device_sums(judged), grown.exact_sums(judged)
    assert (np.abs(device - 2048.0 * exact) <= trees / 2).all(), "the bound of the specification"
    assert ((device[:, 0] < grown.limit()) == (score_of(grown, exact) > 0.6)).all()


def test_eight_bits_change_few_decisions() -> None:
    grown = grow(table(1), TrainSpec("isolation-forest", 50, 100, 7), scheme="int8", parameters={"threshold": 0.6})
    judged = rows(2, 8000)
    theirs = score_of(grown, grown.exact_sums(judged)) > 0.6
    assert ((grown.device_sums(judged)[:, 0] < grown.limit()) != theirs).mean() < 0.002


@pytest.mark.parametrize("method", ["isolation-forest", "random-forest", "extra-trees"])
@pytest.mark.parametrize("scheme", ["int8", "int16"])
def test_the_pack_computes_what_was_measured(method: str, scheme: str) -> None:
    data = rows(1)
    labels = (data[:, 0] > 300).astype(float)
    grown = grow(Table(("a", "b", "c"), data, labels), TrainSpec(method, 8, 100, 7), scheme=scheme, parameters={})
    check_pack(grown.data)
    reference = Reference(grown.data)
    assert reference.first_wrong_golden() is None
    judged = rows(2, 60)
    for row, wanted in zip(judged, grown.device_sums(judged), strict=True):
        out = np.frombuffer(reference.run([row.astype("<i2").tobytes()]).outputs[0], "<i4")
        assert out[1:].tolist() == wanted.astype(int).tolist()


def test_a_large_forest_gets_jumps_and_says_the_same() -> None:
    data = np.random.default_rng(5).integers(-2000, 2000, (4000, 3)).astype(float)
    labels = (data.sum(axis=1) > 0).astype(float)
    train = TrainSpec("extra-trees", 3, seed=1, max_depth=20)
    grown = grow(Table(("a", "b", "c"), data, labels), train, scheme="int16", parameters={})
    assert grown.quantized.forest.jump_bits
    check_pack(grown.data)
    assert (grown.device_sums(data).argmax(axis=1) == grown.exact_sums(data).argmax(axis=1)).mean() > 0.999


def test_windows_become_features() -> None:
    rng = np.random.default_rng(3)
    quiet, loud = rng.normal(0, 500, (150, 64)), rng.normal(0, 500, (150, 64))
    loud[:, ::16] *= 6
    labels = np.repeat([0.0, 1.0], 150)
    data = Table(tuple(f"s{i}" for i in range(64)), np.rint(np.vstack([quiet, loud])), labels)
    features = (FeatureOf("kurtosis"), FeatureOf("crest"), FeatureOf("rms", 1))
    train = TrainSpec("random-forest", 10, seed=1, channels=2, features=features)
    grown = grow(data, train, scheme="int8", parameters={})
    check_pack(grown.data)
    assert (grown.device_sums(data.rows).argmax(axis=1) == labels).mean() > 0.95
    window = decode_features(disassemble(grown.data).section(SectionId.FEATURES))
    assert (window.samples, window.channels, len(window.features)) == (32, 2, 3)


def test_the_same_recipe_gives_the_same_bytes() -> None:
    train = TrainSpec("isolation-forest", 10, 100, 7)
    first, second = (grow(table(1), train, scheme="int8", parameters={}).data for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("train", "labels", "says"),
    [
        (TrainSpec("random-forest", 3), None, "needs the column"),
        (TrainSpec("random-forest", 3), np.repeat([0.0, 2.0], 200), "each class at least once"),
        (TrainSpec("random-forest", 3), np.repeat([0.0, 0.5], 200), "whole numbers"),
        (TrainSpec("isolation-forest", 3, features=(FeatureOf("rms"),), channels=2), None, "whole samples"),
        (TrainSpec("isolation-forest", 3, features=(FeatureOf("rms", 1),)), None, "channels are 0 to 0"),
    ],
)
def test_a_recipe_that_does_not_suit_its_data_is_refused(
    train: TrainSpec, labels: np.ndarray | None, says: str
) -> None:
    with pytest.raises(BuildFailed, match=says):
        grow(table(1, labels=labels), train, scheme="int8", parameters={})


def test_trees_from_json_are_taken_as_they_are() -> None:
    tree = {
        "feature": [1, 0, 0],
        "threshold": [10.5, 0, 0],
        "left": [1, -1, -1],
        "right": [2, -1, -1],
        "value": [9, 3, 6],
    }
    document = {"format": "tinyfleet-forest/1", "mode": "isolation", "features": 2, "subsample": 9, "trees": [tree]}
    grown = grow_from(from_json(json.dumps(document).encode()), scheme="int16", parameters={"threshold": 0.5})
    reference = Reference(grown.data)
    for x, count in ((10, 3), (11, 6), (-32768, 3), (32767, 6)):
        out = reference.run([np.array([0, x], "<i2").tobytes()])
        assert out.score == 2048 + round(2048 * average_path(count))
        assert out.decision == int(out.score < isolation_limit(9, 1, 0.5))


# ---------------------------------------------------------------- grids


@settings(max_examples=200, deadline=None)
@given(
    thresholds=st.lists(st.integers(-(2**28), 2**28), min_size=1, max_size=30),
    bits=st.sampled_from([4, 8, 16]),
    data=st.data(),
)
def test_a_grid_keeps_order_and_its_inverse_is_exact(thresholds: list[int], bits: int, data: st.DataObject) -> None:
    grid = grid_for([float(t) for t in thresholds], bits)
    raw = np.array(sorted(data.draw(st.lists(st.integers(-(2**31), 2**31), min_size=2, max_size=20))), np.int64)
    y = grid.apply(raw, bits)
    assert (np.diff(y) >= 0).all()
    step = data.draw(st.integers(0, (1 << bits) - 2))
    border = grid.largest_raw(step)
    assert grid.apply(np.array([border, border + 1]), bits).tolist()[0] <= step
    assert grid.apply(np.array([border + 1]), bits).tolist()[0] > step


@settings(max_examples=200, deadline=None)
@given(thresholds=st.lists(st.floats(-100, 100), min_size=1, max_size=30), raw=st.integers(-300, 300))
def test_where_the_bits_suffice_nothing_is_lost(thresholds: list[float], raw: int) -> None:
    grid = grid_for(thresholds, 8)
    for threshold in thresholds:
        y = int(grid.apply(np.array([raw]), 8)[0])
        assert (y <= grid.threshold(threshold, 8)) == (raw <= threshold)


# ---------------------------------------------------------------- features


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
def test_integer_features_are_the_statistics(seed: int, spread: int, samples: int) -> None:
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


def test_a_window_survives_its_encoding() -> None:
    window = all_statistics(8, 24, 2)
    assert decode_features(encode_features(window)) == window
    x = np.random.default_rng(1).integers(-32768, 32768, 48)
    assert all(0 <= value <= 255 for value in tree_inputs(window, x, 8))


def test_a_window_with_counts_out_of_range_is_refused() -> None:
    good = encode_features(all_statistics(8, 24, 2))
    for spoiled in (good[:-1], b"", good[:2] + b"\0" + good[3:], encode_features(FeatureWindow(0, 1, ()))):
        with pytest.raises(PackMalformed):
            decode_features(spoiled)


def test_grid_without_thresholds_is_harmless() -> None:
    assert grid_for([], 8) == Grid(0, 0, 0)
    unused = Ensemble(ForestMode.ISOLATION, (), 2, 1, 10)
    assert float_sums(unused, np.zeros((3, 2))).tolist() == [[0.0]] * 3
