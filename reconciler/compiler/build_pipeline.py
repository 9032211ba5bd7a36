# SPDX-License-Identifier: Apache-2.0
"""One build from the model's source to a checked pack. Runs in the build subprocess (see `worker`)."""

from __future__ import annotations

import hashlib
import math
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from reconciler.compiler.build_result import ORACLE_STEP, BuildReport, BuildResult
from reconciler.compiler.datasets import Dataset, read_dataset, refuse_pickle
from reconciler.compiler.engine_runner import ExecutionTarget, execute, runner_is_built
from reconciler.compiler.errors import BuildFailed, DoesNotFit, ModelUnreadable
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.evaluation.gates import BuildGates, Predict
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.evaluation.metrics import Predictions
from reconciler.compiler.foreign_models import how_to_bring
from reconciler.compiler.forest.ensemble import ensemble_from_json
from reconciler.compiler.forest.forest_prediction import predict_forest
from reconciler.compiler.forest.training import import_ensemble, train_forest
from reconciler.compiler.micropython.translation import DeviceModel, translate
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.decision_head import decode_head
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.learning_parameter import learning_pack
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.pack.pack_format import (
    FORMAT_VERSION,
    OLDEST_FORMAT_VERSION,
    Pack,
    PackKind,
    SectionId,
    disassemble,
)
from reconciler.compiler.pack.pack_source import checked_pack
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters
from reconciler.compiler.recipe import File, Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.tensorflow_converter import convert_model
from reconciler.compiler.threshold.threshold_json import is_threshold_json, threshold_pack_from_json
from reconciler.model import LEARN_GENERATION, LayerSplit, Runtime, StageOf
from reconciler.model.samples import SAMPLING_PARAMETERS

Progress = Callable[[str], None]
NETWORK_SUFFIXES = (".tflite", ".lite", ".keras", ".zip")
# Packages on which the bytes or the figures of a build may depend, by the module that is imported.
_TOOLS = {
    "reconciler": "tinyfleet",
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "ai_edge_litert": "ai-edge-litert",
    "tensorflow": "tensorflow",
}


@dataclass(frozen=True, slots=True)
class CandidatePack:
    """A pack before its gates, with what is needed to evaluate and report it."""

    pack: bytes
    predict: Predict
    figures: Mapping[str, float]
    notes: tuple[str, ...] = ()


def tools_in_use() -> dict[str, str]:
    """Return the versions of Python and of the packages that this process has imported."""
    found = {"python": platform.python_version()}
    for module, package in _TOOLS.items():
        if module in sys.modules:
            try:
                found[package] = version(package)
            except PackageNotFoundError:  # it runs from a checkout that is not installed
                continue
    return found


def _no_predictions(_dataset: Dataset) -> Predictions:
    raise BuildFailed("a threshold model has no gates on data: put the inputs that matter into its golden vectors")


def _no_predictions_of_packs(_dataset: Dataset) -> Predictions:
    raise BuildFailed("a model whose source is a pack has no gates on data: it was evaluated when it was made")


def _no_predictions_of_stages(_dataset: Dataset) -> Predictions:
    raise BuildFailed("the stage of a pipeline has no gates on data: the model of the whole network has them")


class BuildPipeline:
    """Builds one recipe from its files."""

    def __init__(self, recipe: Recipe, files: Mapping[str, bytes], progress: Progress) -> None:
        self._recipe = recipe
        self._files = files
        self._progress = progress
        added = {*SAMPLING_PARAMETERS, *([LEARN_GENERATION] if recipe.learn is not None else [])}
        self._parameters = {name: value for name, value in recipe.parameters.items() if name not in added}

    def build(self) -> BuildResult:
        """Compile the model, check its gates, and report."""
        recipe = self._recipe
        candidate = self._compile()
        learning = learning_pack(candidate.pack, recipe.learn, recipe.parameters)
        candidate = replace(candidate, pack=with_sampling(learning, recipe.parameters))
        pack = disassemble(candidate.pack)
        operators = tuple(NAMES[number] for number in operator_numbers(candidate.pack))
        built = self._for_runtime(candidate.pack, pack)
        figures = self._figures(candidate.pack, built)
        self._check_shapes(pack)
        gates = BuildGates()
        self._check_target(gates, built, operators)
        self._progress("golden vectors")
        check_pack(candidate.pack, arena_bytes=recipe.target.arena_bytes)
        gates.check_golden_vectors(*_reproduce_golden_vectors(candidate.pack))
        self._progress("gates")
        datasets = {spec: self._dataset(spec.data) if spec.data else None for spec in recipe.gates}
        gates.check_all(datasets, candidate.predict, figures)
        digest = hashlib.sha256(built.data).hexdigest()
        return BuildResult(
            built.data,
            BuildReport(
                recipe.model, recipe.target.name, recipe.digest, digest, len(built.data), built.arena_bytes,
                operators, tuple(gates.outcomes), {**candidate.figures, **figures}, candidate.notes,
                tools_in_use(),
            ),
        )  # fmt: skip

    def _for_runtime(self, data: bytes, pack: Pack) -> DeviceModel:
        """Return what devices of the type store: the pack, or the package that it is translated into."""
        if self._recipe.target.runtime is Runtime.C:
            return DeviceModel(data, pack.arena_bytes)
        self._progress("package")
        return translate(data)

    def _figures(self, data: bytes, built: DeviceModel) -> dict[str, float]:
        target = self._recipe.target
        cost = estimate_cost(data, target.architecture)
        figures: dict[str, float] = {"pack_bytes": len(built.data), "arena_bytes": built.arena_bytes, "macs": cost.macs}
        if target.runtime is not Runtime.C:
            return figures  # the estimates are of the engine in C
        figures["instructions"] = cost.instructions
        if target.clock_mhz is not None:
            figures["inference_ms"] = cost.instructions * CYCLES_PER_INSTRUCTION / (1000 * target.clock_mhz)
        return figures

    def _check_target(self, gates: BuildGates, built: DeviceModel, operators: tuple[str, ...]) -> None:
        target = self._recipe.target
        if target.pack_format > FORMAT_VERSION:
            raise DoesNotFit(
                f"device type {target.name} has pack format {target.pack_format}; "
                f"this compiler writes formats {OLDEST_FORMAT_VERSION} to {FORMAT_VERSION}: update it"
            )
        missing = [name for name in operators if name not in target.operators]
        if missing:
            raise DoesNotFit(
                f"device type {target.name} lacks the operators {', '.join(missing)}; "
                f"it has {', '.join(target.operators)}"
            )
        gates.check_limit("pack_bytes", len(built.data), target.slot_bytes, f"the slot of device type {target.name}")
        gates.check_limit(
            "arena_bytes", built.arena_bytes, target.arena_bytes, f"the arena of device type {target.name}"
        )

    def _check_shapes(self, pack: Pack) -> None:
        """Compare the shapes in the model's document with those of the pack."""
        inputs, outputs = decode_io(pack.section(SectionId.IO))
        compared = [("inputs", self._recipe.input_shapes, inputs)]
        if pack.kind is PackKind.NEURAL_NETWORK:  # the document of a forest only describes its score
            tensors = [item for item in outputs if item.tensor is not None]
            compared.append(("outputs", self._recipe.output_shapes, tensors))
        for name, shapes, descriptors in compared:
            documented, actual = [math.prod(shape) for shape in shapes], [item.elements for item in descriptors]
            if shapes and documented != actual:
                raise BuildFailed(
                    f"spec.{name} in the model's document has {documented} elements, "
                    f"but the model has {actual}: correct the document"
                )

    def _compile(self) -> CandidatePack:
        if self._is_stage and not self._recipe.source.name.endswith(NETWORK_SUFFIXES):
            raise BuildFailed("only a network can be cut into stages of a pipeline")
        name, data = self._recipe.source.name, self._files[self._recipe.source.sha256]
        refuse_pickle(name, data)
        if self._recipe.train is None and name.endswith(".pack"):
            return CandidatePack(checked_pack(data, self._parameters), _no_predictions_of_packs, {})
        if self._recipe.train is None and name.endswith(".json") and is_threshold_json(data):
            return CandidatePack(threshold_pack_from_json(data, self._parameters), _no_predictions, {})
        if self._recipe.train is not None or name.endswith(".json"):
            return self._forest(name, data)
        if name.endswith((".tflite", ".lite")):
            return self._network(data, None)
        if name.endswith((".keras", ".zip")):
            self._progress("convert")
            converted = convert_model(name, data, self._representative_rows())
            return self._network(converted.int8, converted.float32)
        foreign = how_to_bring(name)
        if foreign is not None:
            raise ModelUnreadable(f"{name} is a model of another framework: {foreign}")
        raise ModelUnreadable(
            f"{name} has an unknown file type; a source is a .tflite, .lite or .keras file, a zipped SavedModel "
            "(.zip), a .pack, trees or a threshold model in .json, or training data with spec.train. "
            "Convert a model of another framework to a .tflite in full int8 first"
        )

    def _dataset(self, file: File) -> Dataset:
        label = self._recipe.train.label if self._recipe.train else "label"
        return read_dataset(file.name, self._files[file.sha256], label=label)

    def _representative_rows(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
        file = self._recipe.representative
        return None if file is None else self._dataset(file).rows[: self._recipe.samples]

    def _forest(self, name: str, data: bytes) -> CandidatePack:
        recipe = self._recipe
        if recipe.decide is not None:
            raise BuildFailed("spec.decide applies to networks only: a forest makes its own decision, so remove it")
        if recipe.train is not None:
            self._progress("train")
            dataset = read_dataset(name, data, label=recipe.train.label)
            trained = train_forest(dataset, recipe.train, scheme=recipe.scheme, parameters=self._parameters)
        else:
            trained = import_ensemble(ensemble_from_json(data), scheme=recipe.scheme, parameters=self._parameters)
        figures = {"trees": len(trained.exact.trees), "nodes": sum(len(tree.left) for tree in trained.exact.trees)}
        return CandidatePack(trained.data, lambda dataset: predict_forest(trained, dataset), figures)

    def _network(self, model: bytes, float32: bytes | None) -> CandidatePack:
        # These modules import ai-edge-litert; all other kinds of models are built without it.
        from reconciler.compiler.tflite.decided_network import (  # noqa: PLC0415
            build_decided_network,
            compare_with_oracle,
            int8_model,
        )
        from reconciler.compiler.tflite.network_pack import DeviceLimits  # noqa: PLC0415
        from reconciler.compiler.tflite.network_prediction import NetworkPredictor  # noqa: PLC0415
        from reconciler.compiler.tflite.oracle import Oracle  # noqa: PLC0415

        self._progress("plan")
        recipe = self._recipe
        if self._is_stage:
            return self._stage(model)
        limits = DeviceLimits(recipe.target.pack_format, recipe.target.arena_bytes)
        network = build_decided_network(model, recipe.decide, self._parameters, limits)
        pack = disassemble(network.data)
        self._progress(ORACLE_STEP)
        int8 = int8_model(model, network)
        compare_with_oracle(network.data, int8.run)
        head = pack.section(SectionId.HEAD)
        entries = decode_parameters(pack.section(SectionId.PARAMETERS))
        predictor = NetworkPredictor(
            int8,
            Oracle(float32) if float32 else None,
            decode_head(head) if head else None,
            entries[0].default if entries else None,
        )
        figures = {"arena_lower_bound": network.placement.lower_bound, "model_bytes": len(model)}
        return CandidatePack(network.data, predictor.predict, figures, network.notes)

    @property
    def _is_stage(self) -> bool:
        return self._recipe.stage is not None or self._recipe.cut is not None

    def _stage(self, model: bytes) -> CandidatePack:
        """Build a part of a network. Its figures say which it is, and what it reads and gives."""
        from reconciler.compiler.stages.automatic_cut import (  # noqa: PLC0415 - as above
            PlacedNetwork,
            order_notes,
            split_where_needed,
        )
        from reconciler.compiler.stages.cut_network import CutNetwork  # noqa: PLC0415 - as above
        from reconciler.compiler.tflite.network_pack import DeviceLimits  # noqa: PLC0415

        network = CutNetwork(model)
        notes = network.notes
        if (cut := self._recipe.cut) is not None:
            self._progress("cut")
            if LayerSplit.CHANNELS in cut.split:
                network = split_where_needed(network, cut.places)
                notes = network.notes
            placed = PlacedNetwork(network, cut.places)
            found = placed.cuts(cut.objective)
            first, end = found.stages[cut.number - 1].first, found.stages[cut.number - 1].end
            notes = (*notes, *order_notes(found, placed.in_any_order(cut.objective), cut.objective))
        else:
            part = self._recipe.stage or StageOf()
            first, end = part.first, network.operators if part.end is None else part.end
        if not first < end <= network.operators:
            raise BuildFailed(
                f"the model has {network.operators} operators, so no stage goes from {first} to {end}: "
                "correct `end` in the pipeline's stages"
            )
        limits = DeviceLimits(self._recipe.target.pack_format, self._recipe.target.arena_bytes)
        stage = network.stage(first, end, limits)
        inputs, outputs = decode_io(disassemble(stage.data).section(SectionId.IO))
        sides = {"input": stage.inputs, "output": stage.outputs, "network_input": network.inputs}
        sides["network_output"] = network.outputs
        figures = {
            f"{side}_tensor_{place}": float(tensor)
            for side, tensors in sides.items()
            for place, tensor in enumerate(tensors)
        }
        figures |= {f"input_{place}_bytes": item.nbytes for place, item in enumerate(inputs)}
        figures |= {f"output_{place}_bytes": item.nbytes for place, item in enumerate(outputs)}
        figures |= {"first_operator": first, "end_operator": end}
        return CandidatePack(stage.data, _no_predictions_of_stages, figures, notes)


def _reproduce_golden_vectors(data: bytes) -> tuple[int, int]:
    """Run the golden vectors, on the device's own engine if it is built; return how many passed, and of how many."""
    reference = ReferenceInterpreter(data)
    count = len(reference.golden)
    if not runner_is_built(ExecutionTarget.HOST):
        wrong = reference.first_wrong_golden()
        return count if wrong is None else wrong, count
    execution = execute(ExecutionTarget.HOST, data, ())
    if execution.verdict != 0:
        raise BuildFailed(f"the device's engine refuses the pack with error {execution.verdict}: a bug of the compiler")
    return count if execution.first_wrong_golden is None else execution.first_wrong_golden, count
