# SPDX-License-Identifier: Apache-2.0
"""The predictions of a network: its int8 model in the oracle, its float model, and the decision head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.datasets import Dataset
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.evaluation.metrics import Predictions
from reconciler.compiler.pack.decision_head import DecisionHead, DecisionMode
from reconciler.compiler.pack.fixed_point import Ints, multiply_by_quantized_multiplier
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.tflite.model_interface import ElementOrder, in_device_order, in_file_order
from reconciler.compiler.tflite.oracle import Oracle

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The oracle with the pack's interface: int8 in and int8 out, whatever types and layouts the file has."""

    oracle: Oracle
    sources: Sequence[Descriptor]
    targets: Sequence[Descriptor]
    orders: Sequence[ElementOrder | None]
    is_stateful: bool = False  # a row is a sequence of inferences, and its result that of the last one

    @property
    def row_length(self) -> int:
        """The number of values in a row: those of all inputs, one after another."""
        return sum(source.elements for source in self.sources)

    def quantized(self, row: Floats) -> list[Ints]:
        """Return the inputs as the device receives them, from a row of real values in the layout of the file."""
        parts = split_row(row, [source.elements for source in self.sources])
        described = zip(parts, self.sources, self.orders, strict=True)
        return [in_device_order(_to_int8(part, source), order) for part, source, order in described]

    def reset(self) -> None:
        """Set the state of the model to its initial values."""
        if self.is_stateful:
            self.oracle.reset()

    def last(self, steps: Sequence[Sequence[Ints]]) -> list[Ints]:
        """Return the integers of all outputs after consecutive inferences from the initial state."""
        self.reset()
        return [self.run(inputs) for inputs in steps][-1]

    def run(self, inputs: Sequence[Ints]) -> list[Ints]:
        """Return the integers of all outputs."""
        described = zip(inputs, self.oracle.inputs, self.sources, self.orders, strict=True)
        made = self.oracle.run(
            [_file_input(x, detail["dtype"], source, order) for x, detail, source, order in described]
        )
        return [_device_output(out.reshape(-1), target) for out, target in zip(made, self.targets, strict=True)]

    def real(self, out: Ints) -> Floats:
        """Return the real values of the first output."""
        return np.asarray((out - self.targets[0].zero_point) * self.targets[0].scale, np.float64)


def split_row(row: Floats, lengths: Sequence[int]) -> list[Floats]:
    """Split a row into the inputs of a model."""
    return np.split(row, np.cumsum(lengths)[:-1])


def _file_input(
    x: Ints, dtype: npt.DTypeLike, source: Descriptor, order: ElementOrder | None
) -> npt.NDArray[np.generic]:
    values = in_file_order(x, order)
    if dtype == np.float32:
        return np.asarray((values - source.zero_point) * source.scale, np.float32)
    return (values + (128 if dtype == np.uint8 else 0)).astype(dtype)


def _device_output(flat: npt.NDArray[np.generic], target: Descriptor) -> Ints:
    if flat.dtype == np.float32:
        return _to_int8(flat.astype(np.float64), target)
    return flat.astype(np.int64) - (128 if flat.dtype == np.uint8 else 0)


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
        values, step = dataset.rows.shape[1], self.int8.row_length
        if values != step and (not self.int8.is_stateful or values % step):
            sizes = " and ".join(str(source.elements) for source in self.int8.sources)
            multiple = ", of which a row must be a multiple, since the model has state" if self.int8.is_stateful else ""
            raise BuildFailed(f"a row of the gate's data has {values} values; the model's input has {sizes}{multiple}")
        steps = [[self.int8.quantized(part) for part in np.split(row, values // step)] for row in dataset.rows]
        raw = [self.int8.last(sequence)[0] for sequence in steps]
        inputs = [sequence[-1] for sequence in steps]
        outputs = np.array([self.int8.real(out) for out in raw])
        floats = None
        if self.float32 is not None:
            floats = np.array([self._float_output(self.float32, row) for row in dataset.rows], np.float64)
        return Predictions(outputs, dataset.labels, floats, *self._scores(dataset, inputs, raw, floats))

    def _float_output(self, model: Oracle, row: Floats) -> npt.NDArray[np.generic]:
        lengths = [source.elements for source in self.int8.sources]
        if self.int8.is_stateful:
            model.reset()
        parts = np.split(row, len(row) // self.int8.row_length)
        return [model.run(split_row(part, lengths))[0].reshape(-1) for part in parts][-1]

    def _scores(
        self, dataset: Dataset, inputs: list[list[Ints]], raw: list[Ints], floats: Floats | None
    ) -> tuple[Floats | None, Floats | None, Floats | None]:
        """Return the scores of the device, the scores of the float model, and the device's decisions."""
        if self.head is None or self.head.mode is DecisionMode.LARGEST:
            return None, None, None
        if self.head.mode is DecisionMode.THRESHOLD:
            scores = np.array([out[0] for out in raw], np.float64)
            exact = None if floats is None else floats[:, 0]
        else:
            pairs = zip(inputs, raw, strict=True)
            scores = np.array([self._reconstruction_error(x[0], out) for x, out in pairs], np.float64)
            exact = (
                None
                if floats is None
                else np.asarray(((floats - dataset.rows[:, -self.int8.row_length :]) ** 2).sum(axis=1), np.float64)
            )
        decisions = None if self.limit is None else (scores > self.limit).astype(np.float64)
        return scores, exact, decisions

    def _reconstruction_error(self, x: Ints, out: Ints) -> int:
        if self.head is None:
            return 0
        zero_in, zero_out = self.int8.sources[0].zero_point, self.int8.targets[0].zero_point
        rescaled = multiply_by_quantized_multiplier(x - zero_in, self.head.multiplier, self.head.shift)
        expected = np.clip(zero_out + rescaled, -128, 127)
        return int(((out - expected) ** 2).sum())
