# SPDX-License-Identifier: Apache-2.0
"""Models that no device runs: TensorFlow Lite, Keras and scikit-learn, each voting in the caged process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.svm import OneClassSVM
from skops import io

from reconciler.compiler.pool.messages import ABSTAINED, PooledKind, PooledModel, SampleRows, WindowLayout
from reconciler.compiler.pool.process import CagedPool
from tests.compiler.sample_models import dense

pytestmark = pytest.mark.build

SCALE = 0.25
ELEMENTS = 6
MAKE_KERAS = """
import sys
import tensorflow as tf
tf.keras.utils.set_random_seed(1)
source = tf.keras.Input((6,))
model = tf.keras.Model(source, tf.keras.layers.Dense(6, kernel_initializer="identity")(source))
model.save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[CagedPool]:
    opened = CagedPool()
    yield opened
    opened.close()


def rows_of(windows: np.ndarray) -> SampleRows:
    layout = WindowLayout(element_type=2, scale=SCALE, samples=3, channels=1, statistics=((1, 0), (3, 0)))
    features = np.arange(2 * len(windows), dtype="<i4")
    return SampleRows(layout, len(windows), features.tobytes(), windows.astype("<i2").tobytes())


WINDOWS = np.random.default_rng(1).integers(-200, 200, (8, ELEMENTS))


def test_a_keras_model_votes_by_its_reconstruction_error(pool: CagedPool, tmp_path: Path) -> None:
    path = tmp_path / "same.keras"
    subprocess.run([sys.executable, "-c", MAKE_KERAS, path], check=True, capture_output=True)
    model = PooledModel("same.keras", "keras", PooledKind.KERAS, path.read_bytes(), "reconstruction")
    votes = pool.vote(model, rows_of(WINDOWS), [0.001, -0.001])
    assert votes is not None, pool._failures
    assert votes == [[0] * 8, [1] * 8]


def test_a_tflite_model_votes_in_real_units(pool: CagedPool) -> None:
    for kind in ("FLOAT32", "INT8"):
        model = PooledModel("dense.tflite", kind, PooledKind.TFLITE, dense(kind), "reconstruction")
        votes = pool.vote(model, rows_of(WINDOWS), [0.0, 1e9, None])
        assert votes is not None
        assert votes == [[1] * 8, [0] * 8, [ABSTAINED] * 8]


@pytest.mark.parametrize("estimator", [IsolationForest(random_state=1), OneClassSVM(nu=0.1)], ids=["forest", "svm"])
def test_an_outlier_detector_votes_as_scikit_learn(pool: CagedPool, estimator: IsolationForest) -> None:
    real = WINDOWS * SCALE
    estimator.fit(real)
    name = type(estimator).__name__
    model = PooledModel(name, name, PooledKind.SKOPS, io.dumps(estimator))
    votes = pool.vote(model, rows_of(WINDOWS), [None, 0.5])
    assert votes is not None
    assert votes[0] == (estimator.predict(real) == -1).astype(int).tolist()
    assert votes[1] == (-estimator.score_samples(real) > 0.5).astype(int).tolist()


def test_a_classifier_takes_the_features_when_it_has_as_many_inputs(pool: CagedPool) -> None:
    inputs = np.arange(16).reshape(8, 2)
    classifier = RandomForestClassifier(5, random_state=1).fit(inputs, [0, 0, 0, 0, 1, 1, 2, 2])
    model = PooledModel("classes", "classes", PooledKind.SKOPS, io.dumps(classifier))
    votes = pool.vote(model, rows_of(WINDOWS), [None])
    assert votes is not None
    assert votes[0] == (classifier.predict(inputs) != 0).astype(int).tolist()


def test_an_estimator_of_another_size_abstains(pool: CagedPool) -> None:
    forest = IsolationForest(n_estimators=3, random_state=1).fit(np.ones((9, 5)))
    model = PooledModel("other", "other", PooledKind.SKOPS, io.dumps(forest))
    votes = pool.vote(model, rows_of(WINDOWS), [None])
    assert votes is not None
    assert votes == [[ABSTAINED] * 8]


def test_a_tree_that_leads_out_of_its_arrays_is_refused() -> None:
    """Scikit-learn would read whatever memory a link points to."""
    forest = IsolationForest(n_estimators=3, random_state=1).fit(WINDOWS * SCALE)
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"]["left_child"][0] = 1 << 40
    tree.__setstate__(state)
    pool = CagedPool()
    model = PooledModel("wild.skops", "wild", PooledKind.SKOPS, io.dumps(forest))
    for _ in range(3):
        assert pool.vote(model, rows_of(WINDOWS), [None]) is None
    assert "lead nowhere" in pool.failing["wild.skops"]
    pool.close()


class Payload:
    """Runs a command when a pickle of it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_a_pickle_runs_nothing(pool: CagedPool, tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    model = PooledModel("evil.skops", "pickle", PooledKind.SKOPS, pickle.dumps(Payload(trap)))
    assert pool.vote(model, rows_of(WINDOWS), [None]) is None
    assert not trap.exists()


def test_a_type_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    pool = CagedPool()
    trap = tmp_path / "executed"
    model = PooledModel("evil.skops", "object", PooledKind.SKOPS, io.dumps(Payload(trap)))
    for _ in range(3):
        assert pool.vote(model, rows_of(WINDOWS), [None]) is None
    assert "not allowed in a model" in pool.failing["evil.skops"]
    assert not trap.exists()
    pool.close()
