# SPDX-License-Identifier: Apache-2.0
"""One build from beginning to end. Runs in the build subprocess: see `worker`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reconciler.compiler.build_report import BuildReport, Built
from reconciler.compiler.errors import BuildFailed, DoesNotFit, ModelUnreadable
from reconciler.compiler.evaluation.build_gates import (
    Evaluate,
    GateRunner,
    Int8Model,
    JudgedNetwork,
    evaluate_forest,
    judge_gates,
)
from reconciler.compiler.evaluation.cost_model import CYCLES_PER_INSTRUCTION, estimate
from reconciler.compiler.evaluation.datasets import Table, read_table, refuse_pickle
from reconciler.compiler.evaluation.metrics import Evaluation
from reconciler.compiler.forest.ensemble import from_json
from reconciler.compiler.forest.training import grow, grow_from
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.decision_head import DecisionMode, decode_head
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.pack.pack_format import (
    FORMAT_VERSION,
    Descriptor,
    Pack,
    PackKind,
    Parameter,
    ParameterEncoding,
    SectionId,
    decode_io,
    decode_parameters,
    disassemble,
    name_hash,
)
from reconciler.compiler.pack.parameter_encoding import encode_value
from reconciler.compiler.pack.threshold_json import is_threshold, threshold_pack
from reconciler.compiler.recipe import File, Recipe
from reconciler.compiler.reference.run import Reference
from reconciler.compiler.runner import ExecutionTarget, execute, runner_is_built
from reconciler.compiler.tflite.convert import convert

Progress = Callable[[str], None]
_HEAD_MODES = {
    "argmax": DecisionMode.LARGEST,
    "reconstruction": DecisionMode.RECONSTRUCTION,
    "threshold": DecisionMode.THRESHOLD,
}
_ENCODINGS = {DecisionMode.RECONSTRUCTION: ParameterEncoding.RECONSTRUCTION_ERROR}
_SPOT_CHECKS = 4


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """A pack, how to judge it, and what to tell of it."""

    pack: bytes
    evaluate: Evaluate
    figures: Mapping[str, float]
    notes: tuple[str, ...] = ()


def _nothing_to_evaluate(_table: Table) -> Evaluation:
    raise BuildFailed("a threshold model has no gates on data: its golden vectors say all there is to say")


class BuildPipeline:
    """The files of one build, and the recipe."""

    def __init__(self, recipe: Recipe, files: Mapping[str, bytes], progress: Progress) -> None:
        self._recipe = recipe
        self._files = files
        self._progress = progress

    def build(self) -> Built:
        """Make the pack, judge it, and report."""
        recipe = self._recipe
        made = self._make()
        operators = tuple(NAMES[number] for number in operator_numbers(made.pack))
        work = estimate(made.pack, recipe.target.architecture)
        pack = disassemble(made.pack)
        figures: dict[str, float] = {
            "pack_bytes": len(made.pack),
            "arena_bytes": pack.arena_bytes,
            "macs": work.macs,
            "instructions": work.instructions,
        }
        if recipe.target.clock_mhz is not None:
            cycles = work.instructions * CYCLES_PER_INSTRUCTION
            figures["inference_ms"] = cycles / (1000 * recipe.target.clock_mhz)
        self._check_shapes(pack)
        judge = GateRunner()
        self._judge_target(judge, pack, operators, len(made.pack))
        self._progress("golden vectors")
        check_pack(made.pack, arena_bytes=recipe.target.arena_bytes)
        judge.golden(*_run_golden(made.pack))
        self._progress("gates")
        tables = {spec: self._table(spec.data) if spec.data else None for spec in recipe.gates}
        judge_gates(judge, tables, made.evaluate, figures)
        digest = hashlib.sha256(made.pack).hexdigest()
        return Built(
            made.pack,
            BuildReport(
                recipe.model, recipe.target.name, recipe.digest, digest, len(made.pack), pack.arena_bytes, operators,
                tuple(judge.judged), {**made.figures, **figures}, made.notes,
            ),
        )  # fmt: skip

    def _judge_target(self, judge: GateRunner, pack: Pack, operators: tuple[str, ...], size: int) -> None:
        target = self._recipe.target
        if target.pack_format != FORMAT_VERSION:
            raise DoesNotFit(
                f"{target.name} reads pack format {target.pack_format}; this builder writes {FORMAT_VERSION}"
            )
        missing = [name for name in operators if name not in target.operators]
        if missing:
            raise DoesNotFit(
                f"{target.name} lacks the operators {', '.join(missing)}; it has {', '.join(target.operators)}"
            )
        judge.at_most("pack_bytes", size, target.slot_bytes, f": the slot of {target.name}")
        judge.at_most("arena_bytes", pack.arena_bytes, target.arena_bytes, f": the arena of {target.name}")

    def _check_shapes(self, pack: Pack) -> None:
        """Hold the shapes that the model's document tells people against those of the pack."""
        inputs, outputs = decode_io(pack.section(SectionId.IO))
        ends = [("inputs", self._recipe.input_shapes, inputs)]
        if pack.kind is PackKind.NEURAL_NETWORK:  # a forest's document speaks of its score alone
            tensors = [item for item in outputs if item.tensor is not None]
            ends.append(("outputs", self._recipe.output_shapes, tensors))
        for name, told, found in ends:
            sizes, real = [math.prod(shape) for shape in told], [item.elements for item in found]
            if told and sizes != real:
                raise BuildFailed(f"spec.{name} has {sizes} elements, the model itself {real}: the document is wrong")

    def _make(self) -> PipelineResult:
        name, data = self._recipe.source.name, self._files[self._recipe.source.sha256]
        refuse_pickle(name, data)
        if self._recipe.train is None and name.endswith(".json") and is_threshold(data):
            return PipelineResult(threshold_pack(data, self._recipe.parameters), _nothing_to_evaluate, {})
        if self._recipe.train is not None or name.endswith(".json"):
            return self._forest(name, data)
        if name.endswith(".tflite"):
            return self._network(data, None)
        if name.endswith((".keras", ".zip")):
            self._progress("convert")
            rows = self._representative()
            converted = convert(name, data, rows)
            return self._network(converted.int8, converted.float32)
        raise ModelUnreadable(
            f"{name} is of no kind that is taken: .tflite, .keras, a zipped SavedModel (.zip), "
            "trees as .json, or data with spec.train"
        )

    def _table(self, file: File) -> Table:
        label = self._recipe.train.label if self._recipe.train else "label"
        return read_table(file.name, self._files[file.sha256], label=label)

    def _representative(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
        file = self._recipe.representative
        return None if file is None else self._table(file).rows[: self._recipe.samples]

    def _forest(self, name: str, data: bytes) -> PipelineResult:
        recipe = self._recipe
        if recipe.decide is not None:
            raise BuildFailed("spec.decide is for networks; forests decide by themselves")
        if recipe.train is not None:
            self._progress("train")
            table = read_table(name, data, label=recipe.train.label)
            grown = grow(table, recipe.train, scheme=recipe.scheme, parameters=recipe.parameters)
        else:
            grown = grow_from(from_json(data), scheme=recipe.scheme, parameters=recipe.parameters)
        figures = {"trees": len(grown.exact.trees), "nodes": sum(len(tree.left) for tree in grown.exact.trees)}
        return PipelineResult(grown.data, lambda table: evaluate_forest(grown, table), figures)

    def _network(self, model: bytes, float32: bytes | None) -> PipelineResult:
        # These import ai-edge-litert; all other models are built without it.
        from reconciler.compiler.tflite.network_pack import Decision, build_network  # noqa: PLC0415
        from reconciler.compiler.tflite.oracle import Oracle  # noqa: PLC0415

        self._progress("plan")
        recipe = self._recipe
        mode = _HEAD_MODES[recipe.decide] if recipe.decide else None
        probe = build_network(model)
        parameters = self._parameters(probe.data, mode)
        decision = None if mode is None else Decision(mode, 0 if parameters else None)
        network = build_network(model, decision=decision, parameters=parameters)
        pack = disassemble(network.data)
        inputs, outputs = decode_io(pack.section(SectionId.IO))
        int8 = Int8Model(Oracle(model), inputs[0], outputs[0])
        _spot_check(network.data, int8, inputs)
        head_bytes = pack.section(SectionId.HEAD)
        entries = decode_parameters(pack.section(SectionId.PARAMETERS))
        judged = JudgedNetwork(
            int8,
            Oracle(float32) if float32 else None,
            decode_head(head_bytes) if head_bytes else None,
            entries[0].default if entries else None,
        )
        figures = {"arena_lower_bound": network.placed.lower_bound, "model_bytes": len(model)}
        return PipelineResult(network.data, judged.evaluate, figures, network.notes)

    def _parameters(self, probe: bytes, mode: DecisionMode | None) -> tuple[Parameter, ...]:
        values = self._recipe.parameters
        if not values:
            if mode in {DecisionMode.RECONSTRUCTION, DecisionMode.THRESHOLD}:
                raise BuildFailed("spec.decide needs the parameter threshold in spec.parameters")
            return ()
        if mode is None or set(values) != {"threshold"}:
            raise BuildFailed("a network has the one parameter threshold, and spec.decide that uses it")
        pack = disassemble(probe)
        limits = (0, (1 << 31) - 1) if mode is DecisionMode.RECONSTRUCTION else (-129, 128)
        entry = Parameter(name_hash("threshold"), 0, *limits, _ENCODINGS.get(mode, ParameterEncoding.OUTPUT_VALUE))
        default = encode_value(pack, entry, values["threshold"])
        if not limits[0] <= default <= limits[1]:
            raise BuildFailed(f"the threshold {values['threshold']} lies outside what the output can be")
        return (Parameter(entry.name_hash, default, *limits, entry.encoding),)


def _run_golden(data: bytes) -> tuple[int, int]:
    """Run the golden vectors, on the device's own engine if it is built; return how many passed, and the count."""
    reference = Reference(data)
    count = len(reference.golden)
    if not runner_is_built(ExecutionTarget.HOST):
        wrong = reference.first_wrong_golden()
        return count if wrong is None else wrong, count
    execution = execute(ExecutionTarget.HOST, data, ())
    if execution.verdict != 0:
        raise BuildFailed(f"the device's engine refuses the pack: error {execution.verdict}")
    return count if execution.first_wrong_golden is None else execution.first_wrong_golden, count


def _spot_check(data: bytes, int8: Int8Model, inputs: list[Descriptor]) -> None:
    """Hold the plan against the oracle on this very model; a difference is a bug of the builder."""
    if len(inputs) != 1 or disassemble(data).kind is not PackKind.NEURAL_NETWORK:
        return
    reference = Reference(data)
    rng = np.random.default_rng(len(data))
    for _ in range(_SPOT_CHECKS):
        x = rng.integers(-128, 128, inputs[0].elements)
        ours = np.frombuffer(reference.run([x.astype(np.int8).tobytes()]).outputs[0], np.int8)
        if (ours != int8.run(x)).any():
            raise AssertionError("the plan does not compute what the oracle computes: a bug of the builder")
