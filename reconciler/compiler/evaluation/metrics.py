# SPDX-License-Identifier: Apache-2.0
"""Figures by which a build is judged, from what the device's model and the float model say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What both models say of the same rows.

    `outputs` are class scores or the values of the output, one row a sample; `scores` is one number
    a sample, high for the positive class, where the model decides between two.
    """

    outputs: Floats
    labels: Floats | None = None
    float_outputs: Floats | None = None
    scores: Floats | None = None
    float_scores: Floats | None = None
    decisions: Floats | None = None
    float_decisions: Floats | None = None


def auc_of(scores: Floats, labels: Floats) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties half."""
    positive, negative = scores[labels > 0.5], scores[labels <= 0.5]  # noqa: PLR2004 - 0 and 1
    if not len(positive) or not len(negative):
        raise BuildFailed("auc needs rows of both classes: labels 0 and 1")
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


def _labels(e: Evaluation, metric: str) -> Floats:
    return _need(e.labels, "a column `label` in its data", metric)


def _float_outputs(e: Evaluation, metric: str) -> Floats:
    return _need(e.float_outputs, "a float model to compare with; this source is quantized already", metric)


def _auc(e: Evaluation) -> float:
    return auc_of(
        _need(e.scores, "a model that scores (spec.decide, or an isolation forest)", "auc"), _labels(e, "auc")
    )


def _float_auc(e: Evaluation) -> float:
    return auc_of(_need(e.float_scores, "a float model that scores", "float_auc"), _labels(e, "float_auc"))


def _agreement(e: Evaluation) -> float:
    theirs = _float_outputs(e, "agreement")
    if e.decisions is not None and e.float_decisions is not None:
        return float((e.decisions == e.float_decisions).mean())
    return float((e.outputs.argmax(axis=1) == theirs.argmax(axis=1)).mean())


METRICS: Mapping[str, Callable[[Evaluation], float]] = {
    "accuracy": lambda e: _accuracy(e.outputs, _labels(e, "accuracy")),
    "float_accuracy": lambda e: _accuracy(_float_outputs(e, "float_accuracy"), _labels(e, "float_accuracy")),
    "accuracy_drop": lambda e: (
        _accuracy(_float_outputs(e, "accuracy_drop"), _labels(e, "accuracy_drop"))
        - _accuracy(e.outputs, _labels(e, "accuracy_drop"))
    ),
    "auc": _auc,
    "float_auc": _float_auc,
    "auc_drop": lambda e: _float_auc(e) - _auc(e),
    "agreement": _agreement,
    "changed_decisions": lambda e: 1.0 - _agreement(e),
    "mean_absolute_error": lambda e: float(np.abs(e.outputs - _float_outputs(e, "mean_absolute_error")).mean()),
}


def measure(metric: str, evaluation: Evaluation) -> float:
    """Return a metric's value."""
    if metric not in METRICS:
        known = ", ".join((*METRICS, "pack_bytes", "arena_bytes", "macs", "instructions", "inference_ms"))
        raise BuildFailed(f"there is no metric {metric}; there are {known}")
    return METRICS[metric](evaluation)
