# SPDX-License-Identifier: Apache-2.0
"""A packed forest decides as scikit-learn does, within the bound that the specification proves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reconciler.compiler.datasets import Dataset
from reconciler.compiler.errors import BuildFailed, DoesNotFit
from reconciler.compiler.forest.ensemble import (
    ensemble_from_json,
)
from reconciler.compiler.forest.training import anomaly_scores, import_ensemble, train_forest
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.isolation_score import average_path_length, isolation_limit
from reconciler.compiler.pack.pack_format import (
    SectionId,
    disassemble,
)
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.model import FeatureOf, TrainSpec
from tests.compiler.forest_data import correlated_dataset, correlated_rows, noise_dataset
from tests.compiler.test_hostile import FOREST


@pytest.mark.parametrize(
    ("columns", "scheme", "parameters", "error", "message"),
    [
        (3, "float16", {}, BuildFailed, "int8 or int16, not float16"),
        (17, "int8", {}, DoesNotFit, "the data has 17 columns; a sample has at most 16 channels"),
        (3, "int8", {"gain": 1.0}, BuildFailed, "takes the parameter `threshold`, not gain"),
        (3, "int8", {"threshold": 1.5}, BuildFailed, "must be above 0 and at most 1, not 1.5"),
    ],
)
def test_an_invalid_recipe_is_refused(
    columns: int, scheme: str, parameters: dict[str, float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_forest(noise_dataset(columns), TrainSpec("isolation-forest", 3), scheme=scheme, parameters=parameters)


def test_imported_trees_have_the_same_limits() -> None:
    with pytest.raises(BuildFailed, match="int8 or int16, not float16"):
        import_ensemble(ensemble_from_json(json.dumps(FOREST).encode()), scheme="float16", parameters={})
    with pytest.raises(DoesNotFit, match="17 features"):
        import_ensemble(
            ensemble_from_json(json.dumps({**FOREST, "features": 17}).encode()), scheme="int8", parameters={}
        )


@pytest.mark.parametrize("trees", [10, 50])
def test_sixteen_bit_thresholds_change_no_decision(trees: int) -> None:
    train = TrainSpec("isolation-forest", trees, 100, 7)
    trained = train_forest(correlated_dataset(1), train, scheme="int16", parameters={"threshold": 0.6})
    evaluated = correlated_rows(2, 4000)
    device, exact = trained.device_sums(evaluated), trained.exact_sums(evaluated)
    assert (np.abs(device - 2048.0 * exact) <= trees / 2).all(), "the bound of the specification"
    assert ((device[:, 0] < trained.limit()) == (anomaly_scores(trained, exact) > 0.6)).all()


def test_eight_bit_thresholds_change_few_decisions() -> None:
    trained = train_forest(
        correlated_dataset(1), TrainSpec("isolation-forest", 50, 100, 7), scheme="int8", parameters={"threshold": 0.6}
    )
    evaluated = correlated_rows(2, 8000)
    expected = anomaly_scores(trained, trained.exact_sums(evaluated)) > 0.6
    assert ((trained.device_sums(evaluated)[:, 0] < trained.limit()) != expected).mean() < 0.002


@pytest.mark.parametrize("method", ["isolation-forest", "random-forest", "extra-trees"])
@pytest.mark.parametrize("scheme", ["int8", "int16"])
def test_the_pack_computes_the_sums_that_were_evaluated(method: str, scheme: str) -> None:
    data = correlated_rows(1)
    labels = (data[:, 0] > 300).astype(float)
    trained = train_forest(
        Dataset(("a", "b", "c"), data, labels), TrainSpec(method, 8, 100, 7), scheme=scheme, parameters={}
    )
    check_pack(trained.data)
    reference = ReferenceInterpreter(trained.data)
    assert reference.first_wrong_golden() is None
    evaluated = correlated_rows(2, 60)
    for row, wanted in zip(evaluated, trained.device_sums(evaluated), strict=True):
        out = np.frombuffer(reference.run([row.astype("<i2").tobytes()]).outputs[0], "<i4")
        assert out[1:].tolist() == wanted.astype(int).tolist()


def test_a_large_forest_has_jumps_and_decides_the_same() -> None:
    data = np.random.default_rng(5).integers(-2000, 2000, (4000, 3)).astype(float)
    labels = (data.sum(axis=1) > 0).astype(float)
    train = TrainSpec("extra-trees", 3, seed=1, max_depth=20)
    trained = train_forest(Dataset(("a", "b", "c"), data, labels), train, scheme="int16", parameters={})
    assert trained.quantized.forest.jump_bits
    check_pack(trained.data)
    assert (trained.device_sums(data).argmax(axis=1) == trained.exact_sums(data).argmax(axis=1)).mean() > 0.999


def test_a_forest_is_trained_on_features_of_windows() -> None:
    rng = np.random.default_rng(3)
    quiet, loud = rng.normal(0, 500, (150, 64)), rng.normal(0, 500, (150, 64))
    loud[:, ::16] *= 6
    labels = np.repeat([0.0, 1.0], 150)
    data = Dataset(tuple(f"s{i}" for i in range(64)), np.rint(np.vstack([quiet, loud])), labels)
    features = (FeatureOf("kurtosis"), FeatureOf("crest"), FeatureOf("rms", 1))
    train = TrainSpec("random-forest", 10, seed=1, channels=2, features=features)
    trained = train_forest(data, train, scheme="int8", parameters={})
    check_pack(trained.data)
    assert (trained.device_sums(data.rows).argmax(axis=1) == labels).mean() > 0.95
    window = decode_features(disassemble(trained.data).section(SectionId.FEATURES))
    assert (window.samples, window.channels, len(window.features)) == (32, 2, 3)


def test_the_same_recipe_gives_the_same_bytes() -> None:
    train = TrainSpec("isolation-forest", 10, 100, 7)
    first, second = (train_forest(correlated_dataset(1), train, scheme="int8", parameters={}).data for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        (TrainSpec("random-forest", 3), None, "needs a column 'label' with the class of each row"),
        (TrainSpec("random-forest", 3), np.repeat([0.0, 2.0], 200), "each class at least once"),
        (TrainSpec("random-forest", 3), np.repeat([0.0, 0.5], 200), "must hold integers from 0"),
        (
            TrainSpec("isolation-forest", 3, features=(FeatureOf("rms"),), channels=2),
            None,
            "not 2 to 4096 samples",
        ),
        (TrainSpec("isolation-forest", 3, features=(FeatureOf("rms", 1),)), None, "channels are 0 to 0"),
    ],
)
def test_a_recipe_that_does_not_match_its_data_is_refused(
    train: TrainSpec, labels: np.ndarray | None, message: str
) -> None:
    with pytest.raises(BuildFailed, match=message):
        train_forest(correlated_dataset(1, labels=labels), train, scheme="int8", parameters={})


def test_trees_from_json_decide_as_written() -> None:
    tree = {
        "feature": [1, 0, 0],
        "threshold": [10.5, 0, 0],
        "left": [1, -1, -1],
        "right": [2, -1, -1],
        "value": [9, 3, 6],
    }
    document = {"format": "tinyfleet-forest/1", "mode": "isolation", "features": 2, "subsample": 9, "trees": [tree]}
    trained = import_ensemble(
        ensemble_from_json(json.dumps(document).encode()), scheme="int16", parameters={"threshold": 0.5}
    )
    reference = ReferenceInterpreter(trained.data)
    for x, count in ((10, 3), (11, 6), (-32768, 3), (32767, 6)):
        out = reference.run([np.array([0, x], "<i2").tobytes()])
        assert out.score == 2048 + round(2048 * average_path_length(count))
        assert out.decision == int(out.score < isolation_limit(9, 1, 0.5))
