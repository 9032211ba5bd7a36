# SPDX-License-Identifier: Apache-2.0
"""The predictions of a trained forest, as packed and before quantization."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.datasets import Dataset
from reconciler.compiler.evaluation.metrics import Predictions
from reconciler.compiler.forest.training import TrainedForest, anomaly_scores
from reconciler.compiler.pack.forest_head import DEPTH_UNIT, ForestMode


def predict_forest(trained: TrainedForest, dataset: Dataset) -> Predictions:
    """Run the packed forest and the exact one on every row."""
    device, exact = trained.device_sums(dataset.rows), trained.exact_sums(dataset.rows)
    if trained.exact.mode is not ForestMode.ISOLATION:
        return Predictions(device, dataset.labels, exact)
    exact_scores = anomaly_scores(trained, exact)
    return Predictions(
        device,
        dataset.labels,
        exact,
        anomaly_scores(trained, device / DEPTH_UNIT),
        exact_scores,
        (device[:, 0] < trained.limit()).astype(np.float64),
        (exact_scores > trained.threshold).astype(np.float64),
    )
