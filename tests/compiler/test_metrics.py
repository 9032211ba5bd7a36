# SPDX-License-Identifier: Apache-2.0
"""The metrics of gates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.evaluation.metrics import METRICS, Predictions, auc_of, measure


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_auc_is_the_share_of_ordered_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s for s, _ in pairs], float), np.array([p for _, p in pairs], float)
    good, bad = scores[labels == 1], scores[labels == 0]
    if not len(good) or not len(bad):
        with pytest.raises(BuildFailed):
            auc_of(scores, labels)
        return
    wins = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
    assert auc_of(scores, labels) == pytest.approx(sum(wins) / len(wins))


def test_every_metric_is_measured_or_names_what_it_lacks() -> None:
    outputs, floats = np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([[0.1, 0.9], [0.4, 0.6]])
    labels = np.array([1.0, 0.0])
    full = Predictions(outputs, labels, floats, outputs[:, 1], floats[:, 1])
    expected = {
        "accuracy": 1.0, "float_accuracy": 0.5, "accuracy_drop": -0.5, "auc": 1.0, "float_auc": 1.0, "auc_drop": 0.0,
        "agreement": 0.5, "changed_decisions": 0.5, "mean_absolute_error": 0.15,
    }  # fmt: skip
    assert {name: measure(name, full) for name in METRICS} == pytest.approx(expected)
    for name in METRICS:
        with pytest.raises(BuildFailed, match=r"^\w+ needs"):
            measure(name, Predictions(outputs))
    with pytest.raises(BuildFailed, match="unknown metric f1"):
        measure("f1", full)


def test_agreement_compares_decisions_if_there_are_any() -> None:
    outputs = np.zeros((4, 1))
    decisions = Predictions(
        outputs, None, outputs, decisions=np.array([0.0, 1, 1, 0]), float_decisions=np.array([0.0, 1, 0, 0])
    )
    assert measure("agreement", decisions) == 0.75
