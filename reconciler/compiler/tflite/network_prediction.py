# SPDX-License-Identifier: Apache-2.0
"""The predictions of a network: its int8 model in the oracle, its float model, and the decision head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.datasets import Dataset
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.evaluation.metrics import Predictions
from reconciler.compiler.pack.decision_head import DecisionHead, DecisionMode
from reconciler.compiler.pack.fixed_point import Ints, multiply_by_quantized_multiplier
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.tflite.oracle import Oracle

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The oracle with the pack's interface: int8 in and int8 out, whatever types the file has at its ends."""

    oracle: Oracle
    source: Descriptor
    target: Descriptor

    def quantized(self, row: Floats) -> Ints:
        """Return a row of real values as the device receives it."""
        return _to_int8(row, self.source)

    def run(self, x: Ints) -> Ints:
        """Return the integers of the first output."""
        (out,) = self.oracle.run([self._file_input(x)])[:1]
        flat = out.reshape(-1)
        if flat.dtype == np.float32:
            return _to_int8(flat.astype(np.float64), self.target)
        return flat.astype(np.int64) - (128 if flat.dtype == np.uint8 else 0)

    def real(self, out: Ints) -> Floats:
        """Return the real values of an output."""
        return np.asarray((out - self.target.zero_point) * self.target.scale, np.float64)

    def _file_input(self, x: Ints) -> npt.NDArray[np.generic]:
        dtype = self.oracle.inputs[0]["dtype"]
        if dtype == np.float32:
            return np.asarray((x - self.source.zero_point) * self.source.scale, np.float32)
        return (x + (128 if dtype == np.uint8 else 0)).astype(dtype)


def _to_int8(values: Floats, descriptor: Descriptor) -> Ints:
    quantized = np.rint(values / descriptor.scale) + descriptor.zero_point
    return np.asarray(np.clip(quantized, -128, 127), np.int64)


@dataclass(frozen=True, slots=True)
class NetworkPredictor:
    """A network in int8 and, if the source has one, in float, with the head that makes its decision."""

    int8: Int8Model
    float32: Oracle | None
    head: DecisionHead | None
    limit: int | None

    def predict(self, dataset: Dataset) -> Predictions:
        """Run both models on every row."""
        if dataset.rows.shape[1] != self.int8.source.elements:
            raise BuildFailed(
                f"a row of the gate's data has {dataset.rows.shape[1]} values; "
                f"the model's input has {self.int8.source.elements}"
            )
        inputs = [self.int8.quantized(row) for row in dataset.rows]
        raw = [self.int8.run(x) for x in inputs]
        outputs = np.array([self.int8.real(out) for out in raw])
        floats = None
        if self.float32 is not None:
            floats = np.array([self.float32.run([row.astype(np.float32)])[0].reshape(-1) for row in dataset.rows])
        return Predictions(outputs, dataset.labels, floats, *self._scores(dataset, inputs, raw, floats))

    def _scores(
        self, dataset: Dataset, inputs: list[Ints], raw: list[Ints], floats: Floats | None
    ) -> tuple[Floats | None, Floats | None, Floats | None]:
        """Return the scores of the device, the scores of the float model, and the device's decisions."""
        if self.head is None or self.head.mode is DecisionMode.LARGEST:
            return None, None, None
        if self.head.mode is DecisionMode.THRESHOLD:
            scores = np.array([out[0] for out in raw], np.float64)
            exact = None if floats is None else floats[:, 0]
        else:
            pairs = zip(inputs, raw, strict=True)
            scores = np.array([self._reconstruction_error(x, out) for x, out in pairs], np.float64)
            exact = None if floats is None else np.asarray(((floats - dataset.rows) ** 2).sum(axis=1), np.float64)
        decisions = None if self.limit is None else (scores > self.limit).astype(np.float64)
        return scores, exact, decisions

    def _reconstruction_error(self, x: Ints, out: Ints) -> int:
        if self.head is None:
            return 0
        zero_in, zero_out = self.int8.source.zero_point, self.int8.target.zero_point
        rescaled = multiply_by_quantized_multiplier(x - zero_in, self.head.multiplier, self.head.shift)
        expected = np.clip(zero_out + rescaled, -128, 127)
        return int(((out - expected) ** 2).sum())
