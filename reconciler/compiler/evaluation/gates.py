# SPDX-License-Identifier: Apache-2.0
"""Holds a built model against its gates: the first that is missed ends the build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reconciler.compiler.build_result import GateOutcome
from reconciler.compiler.errors import BuildFailed, BuildGateFailed
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.evaluation.metrics import Evaluation, measure
from reconciler.compiler.forest.training import GrownForest, score_of
from reconciler.compiler.pack.decision_head import DecisionMode as HeadMode
from reconciler.compiler.pack.decision_head import Head
from reconciler.compiler.pack.fixed_point import Ints, mbqm
from reconciler.compiler.pack.forest_section import ForestMode
from reconciler.compiler.pack.pack_format import Descriptor
from reconciler.compiler.recipe import GateSpec

if TYPE_CHECKING:  # it imports ai-edge-litert, which forests do without
    from reconciler.compiler.tflite.oracle import Oracle

Floats = npt.NDArray[np.float64]
Evaluate = Callable[[Dataset], Evaluation]


@dataclass(slots=True)
class GateRunner:
    """Collects what was judged."""

    judged: list[GateOutcome] = field(default_factory=list)

    def at_most(self, metric: str, value: float, limit: float, why: str) -> None:
        """Judge a figure against a ceiling that the device sets."""
        self._note(metric, value, f"at most {limit:g}", passed=value <= limit, why=why)

    def golden(self, passed: int, count: int) -> None:
        """Judge the golden vectors: all of them must be reproduced."""
        self._note("golden_vectors", passed, f"all {count}", passed=passed == count, why=" reproduced")

    def gate(self, spec: GateSpec, value: float) -> None:
        """Judge a figure against a gate of the model."""
        parts, passed = [], True
        if spec.at_least is not None:
            parts.append(f"at least {spec.at_least:g}")
            passed &= value >= spec.at_least
        if spec.at_most is not None:
            parts.append(f"at most {spec.at_most:g}")
            passed &= value <= spec.at_most
        self._note(spec.metric, value, " and ".join(parts), passed=passed, why="")

    def _note(self, metric: str, value: float, limit: str, *, passed: bool, why: str) -> None:
        self.judged.append(GateOutcome(metric, value, limit, passed))
        if not passed:
            raise BuildGateFailed(f"{metric} is {value:g}, it must be {limit}{why}")


def judge_gates(
    judge: GateRunner, gates: Mapping[GateSpec, Dataset | None], evaluate: Evaluate, known: Mapping[str, float]
) -> None:
    """Measure every gate, in the model's order."""
    seen: dict[int, Evaluation] = {}
    for spec, table in gates.items():
        if spec.metric in known:
            judge.gate(spec, known[spec.metric])
            continue
        if table is None:
            raise BuildGateFailed(f"{spec.metric} needs data: name it in the gate")
        if id(table) not in seen:
            seen[id(table)] = evaluate(table)
        judge.gate(spec, measure(spec.metric, seen[id(table)]))


def evaluate_forest(grown: GrownForest, table: Dataset) -> Evaluation:
    """Ask the packed forest and the exact one."""
    device, exact = grown.device_sums(table.rows), grown.exact_sums(table.rows)
    if grown.exact.mode is not ForestMode.ISOLATION:
        return Evaluation(device, table.labels, exact)
    return Evaluation(
        device,
        table.labels,
        exact,
        score_of(grown, device / 2048.0),
        score_of(grown, exact),
        (device[:, 0] < grown.limit()).astype(np.float64),
        (score_of(grown, exact) > grown.threshold).astype(np.float64),
    )


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The oracle behind the pack's own ends: int8 in, int8 out, whatever the file has there."""

    oracle: Oracle
    source: Descriptor
    target: Descriptor

    def quantized(self, row: Floats) -> Ints:
        """Return a row of real values as the device sees it."""
        return _to_int8(row, self.source)

    def run(self, x: Ints) -> Ints:
        """Return the output's integers."""
        (out,) = self.oracle.run([self._given(x)])[:1]
        flat = out.reshape(-1)
        if flat.dtype == np.float32:
            return _to_int8(flat.astype(np.float64), self.target)
        return flat.astype(np.int64) - (128 if flat.dtype == np.uint8 else 0)

    def real(self, out: Ints) -> Floats:
        """Return the output's real values."""
        return np.asarray((out - self.target.zero_point) * self.target.scale, np.float64)

    def _given(self, x: Ints) -> npt.NDArray[np.generic]:
        kind = self.oracle.inputs[0]["dtype"]
        if kind == np.float32:
            return np.asarray((x - self.source.zero_point) * self.source.scale, np.float32)
        return (x + (128 if kind == np.uint8 else 0)).astype(kind)


def _to_int8(values: Floats, end: Descriptor) -> Ints:
    return np.asarray(np.clip(np.rint(values / end.scale) + end.zero_point, -128, 127), np.int64)


@dataclass(frozen=True, slots=True)
class JudgedNetwork:
    """A network in int8 and, where there is one, in float, with what makes its decision."""

    int8: Int8Model
    float32: Oracle | None
    head: Head | None
    limit: int | None

    def evaluate(self, table: Dataset) -> Evaluation:
        """Ask both models for every row."""
        if table.rows.shape[1] != self.int8.source.elements:
            raise BuildFailed(f"a row has {table.rows.shape[1]} values, the model takes {self.int8.source.elements}")
        inputs = [self.int8.quantized(row) for row in table.rows]
        raw = [self.int8.run(x) for x in inputs]
        outputs = np.array([self.int8.real(out) for out in raw])
        theirs = None
        if self.float32 is not None:
            theirs = np.array([self.float32.run([row.astype(np.float32)])[0].reshape(-1) for row in table.rows])
        return Evaluation(outputs, table.labels, theirs, *self._scores(table, inputs, raw, theirs))

    def _scores(
        self, table: Dataset, inputs: list[Ints], raw: list[Ints], theirs: Floats | None
    ) -> tuple[Floats | None, Floats | None, Floats | None]:
        """Return the device's scores, the float model's, and the device's decisions."""
        if self.head is None or self.head.mode is HeadMode.LARGEST:
            return None, None, None
        if self.head.mode is HeadMode.THRESHOLD:
            scores = np.array([out[0] for out in raw], np.float64)
            exact = None if theirs is None else theirs[:, 0]
        else:
            scores = np.array([self._error(x, out) for x, out in zip(inputs, raw, strict=True)], np.float64)
            exact = None if theirs is None else np.asarray(((theirs - table.rows) ** 2).sum(axis=1), np.float64)
        decisions = None if self.limit is None else (scores > self.limit).astype(np.float64)
        return scores, exact, decisions

    def _error(self, x: Ints, out: Ints) -> int:
        if self.head is None:
            return 0
        zero_in, zero_out = self.int8.source.zero_point, self.int8.target.zero_point
        expected = np.clip(zero_out + mbqm(x - zero_in, self.head.multiplier, self.head.shift), -128, 127)
        return int(((out - expected) ** 2).sum())
