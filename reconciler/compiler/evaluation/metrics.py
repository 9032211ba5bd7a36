# SPDX-License-Identifier: Apache-2.0
"""The metrics that gates can name, computed from the predictions of the packed model and of the float model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of the packed model and of the float model for the same rows.

    `outputs` has one row per sample: class scores, or the values of the output. `scores` has one number
    per sample, high for the positive class, for models that decide between two classes.
    """

    outputs: Floats
    labels: Floats | None = None
    float_outputs: Floats | None = None
    scores: Floats | None = None
    float_scores: Floats | None = None
    decisions: Floats | None = None
    float_decisions: Floats | None = None


def auc_of(scores: Floats, labels: Floats) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative; a tie counts half."""
    positive, negative = scores[labels > 0.5], scores[labels <= 0.5]  # noqa: PLR2004 - 0 and 1
    if not len(positive) or not len(negative):
        raise BuildFailed("auc needs rows of both classes, labelled 0 and 1")
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left")
    ties = np.searchsorted(order, positive, "right") - below
    return float((below + 0.5 * ties).sum() / (len(positive) * len(negative)))


def _need(value: Floats | None, what: str, metric: str) -> Floats:
    if value is None:
        raise BuildFailed(f"{metric} needs {what}")
    return value


def _accuracy(outputs: Floats, labels: Floats) -> float:
    return float((outputs.argmax(axis=1) == labels).mean())


def _labels(p: Predictions, metric: str) -> Floats:
    return _need(p.labels, "a column `label` in the gate's data", metric)


def _float_outputs(p: Predictions, metric: str) -> Floats:
    return _need(p.float_outputs, "a float model to compare with, and this model's source is already quantized", metric)


def _auc(p: Predictions) -> float:
    return auc_of(
        _need(p.scores, "a model with a score: set spec.decide, or use an isolation forest", "auc"), _labels(p, "auc")
    )


def _float_auc(p: Predictions) -> float:
    return auc_of(_need(p.float_scores, "a float model with a score", "float_auc"), _labels(p, "float_auc"))


def _agreement(p: Predictions) -> float:
    floats = _float_outputs(p, "agreement")
    if p.decisions is not None and p.float_decisions is not None:
        return float((p.decisions == p.float_decisions).mean())
    return float((p.outputs.argmax(axis=1) == floats.argmax(axis=1)).mean())


METRICS: Mapping[str, Callable[[Predictions], float]] = {
    "accuracy": lambda p: _accuracy(p.outputs, _labels(p, "accuracy")),
    "float_accuracy": lambda p: _accuracy(_float_outputs(p, "float_accuracy"), _labels(p, "float_accuracy")),
    "accuracy_drop": lambda p: (
        _accuracy(_float_outputs(p, "accuracy_drop"), _labels(p, "accuracy_drop"))
        - _accuracy(p.outputs, _labels(p, "accuracy_drop"))
    ),
    "auc": _auc,
    "float_auc": _float_auc,
    "auc_drop": lambda p: _float_auc(p) - _auc(p),
    "agreement": _agreement,
    "changed_decisions": lambda p: 1.0 - _agreement(p),
    "mean_absolute_error": lambda p: float(np.abs(p.outputs - _float_outputs(p, "mean_absolute_error")).mean()),
}


def measure(metric: str, predictions: Predictions) -> float:
    """Return the value of a metric."""
    if metric not in METRICS:
        known = ", ".join((*METRICS, "pack_bytes", "arena_bytes", "macs", "instructions", "inference_ms"))
        raise BuildFailed(f"unknown metric {metric}; the metrics are {known}")
    return METRICS[metric](predictions)
