# SPDX-License-Identifier: Apache-2.0
"""Trains a `.keras` file, which has an architecture and its first weights. Runs only in the caged process.

On one kind of processor and with one release of TensorFlow, the same seed gives the same weights.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.tflite.tensorflow_converter import load_keras
from reconciler.model import Decide

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A file in the format of Keras."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


def train_keras(file: NetworkFile, decide: Decide, rows: Floats, anomalous: Bools, schedule: Schedule) -> Any:  # noqa: ANN401 - no types
    """Return the trained network.

    For `reconstruction` it learns to give back normal rows. Otherwise it learns the difference between normal and
    anomalous ones, of which both count the same however many there are.
    """
    import tensorflow  # noqa: PLC0415, ICN001 - 655 MB: never at import time

    tensorflow.config.experimental.enable_op_determinism()
    tensorflow.keras.utils.set_random_seed(schedule.seed)
    with tempfile.TemporaryDirectory() as folder:
        network = load_keras(file.name, file.data, Path(folder))
    inputs = rows.reshape(-1, *_input_shape(file, network, rows.shape[1]))
    targets, loss, weights = _task(file, network, decide, rows, anomalous)
    if decide is Decide.RECONSTRUCTION:
        inputs, targets, weights = inputs[~anomalous], targets[~anomalous], None
    network.compile(tensorflow.keras.optimizers.Adam(schedule.learning_rate), loss)
    history = network.fit(
        inputs,
        targets.reshape(-1, *network.outputs[0].shape[1:]) if decide is not Decide.ARGMAX else targets,
        batch_size=schedule.batch_size,
        epochs=schedule.epochs,
        sample_weight=weights,
        verbose=0,
    )
    if not math.isfinite(history.history["loss"][-1]):
        raise BuildFailed(f"{file.name} did not converge: set a smaller `learningRate` than {schedule.learning_rate:g}")
    return network


def _input_shape(file: NetworkFile, network: Any, elements: int) -> tuple[int, ...]:  # noqa: ANN401 - no types
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise BuildFailed(f"{file.name} must have one input and one output")
    shape = tuple(network.inputs[0].shape)[1:]
    if None in shape or math.prod(shape) != elements:
        raise BuildFailed(f"the input of {file.name} has the shape {shape}, and a window has {elements} elements")
    return shape


def _task(
    file: NetworkFile,
    network: Any,  # noqa: ANN401 - no types
    decide: Decide,
    rows: Floats,
    anomalous: Bools,
) -> tuple[npt.NDArray[Any], Any, Floats | None]:
    """Return what the network is to give for each row, by what errors are measured, and how much each row counts."""
    from tensorflow.keras import losses  # noqa: PLC0415 - as above

    outputs = math.prod(tuple(network.outputs[0].shape)[1:])
    wanted, least = {
        Decide.RECONSTRUCTION: (outputs == rows.shape[1], f"as many outputs as inputs, {rows.shape[1]}"),
        Decide.THRESHOLD: (outputs == 1, "one output"),
        Decide.ARGMAX: (outputs > 1 and len(network.outputs[0].shape) == 2, "at least two outputs in one row"),  # noqa: PLR2004 - batch, classes
    }[decide]
    if not wanted:
        raise BuildFailed(f"{file.name} has {outputs} outputs; `decide: {decide}` needs {least}")
    if decide is Decide.RECONSTRUCTION:
        return rows, losses.MeanSquaredError(), None
    logits = not _ends_in_probabilities(network)
    shares = np.where(anomalous, anomalous.mean(), 1 - anomalous.mean())
    weights = np.asarray(0.5 / shares, np.float32)
    if decide is Decide.THRESHOLD:
        return anomalous.astype(np.float32), losses.BinaryCrossentropy(from_logits=logits), weights
    return anomalous.astype(np.int32), losses.SparseCategoricalCrossentropy(from_logits=logits), weights


def _ends_in_probabilities(network: Any) -> bool:  # noqa: ANN401 - no types
    last = network.layers[-1]
    names = {type(last).__name__.lower(), getattr(getattr(last, "activation", None), "__name__", "")}
    return bool(names & {"softmax", "sigmoid"})
