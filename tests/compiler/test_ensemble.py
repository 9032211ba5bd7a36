# SPDX-License-Identifier: Apache-2.0
"""Ensembles from scikit-learn and from JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest, RandomForestClassifier

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.forest.ensemble import (
    ensemble_from_json,
    float_sums,
    from_classifier,
    from_isolation_forest,
)
from reconciler.compiler.pack.isolation_score import average_path_length
from tests.compiler.forest_data import correlated_rows
from tests.compiler.test_hostile import FOREST, TREE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other/1"}, "is not a forest"),
        ({"trees": []}, "no trees, or its features, outputs or subsample are out of range"),
        ({"subsample": 1}, "subsample are out of range"),
        (
            {"mode": "regression", "outputs": 2, "trees": [{**TREE, "value": [[1, 2]] * 3}]},
            "a forest for regression has one output",
        ),
        ({"trees": [{**TREE, "right": [2, -1]}]}, "differ in length"),
    ],
)
def test_an_invalid_document_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelUnreadable, match=message):
        ensemble_from_json(json.dumps({**FOREST, **changes}).encode())


@pytest.mark.parametrize("trees", [1, 10, 50])
def test_an_ensemble_scores_as_scikit_learn_does(trees: int) -> None:
    train, evaluated = correlated_rows(1), correlated_rows(2, 1000)
    model = IsolationForest(n_estimators=trees, max_samples=100, random_state=3).fit(train)
    ensemble = from_isolation_forest(model)
    paths = float_sums(ensemble, evaluated)[:, 0]
    assert np.allclose(
        2.0 ** (-paths / (trees * average_path_length(100))), -model.score_samples(evaluated), atol=1e-12
    )


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_a_classifier_votes_as_scikit_learn_does(kind: type) -> None:
    train, evaluated = correlated_rows(1), correlated_rows(2, 1000)
    labels = (train[:, 0] > 300).astype(int) + (train[:, 1] > 0)
    model = kind(n_estimators=20, max_depth=8, random_state=3).fit(train, labels)
    votes = float_sums(from_classifier(model), evaluated) / 20
    assert np.allclose(votes, model.predict_proba(evaluated), atol=1e-12)
