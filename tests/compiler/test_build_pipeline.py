# SPDX-License-Identifier: Apache-2.0
"""One build from start to end, in this process: gates, and documents that contradict the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconciler.compiler.build_pipeline import BuildPipeline
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.engine_runner import FIRMWARE_VARIABLE
from reconciler.compiler.errors import BuildFailed, BuildGateFailed, ModelUnreadable, OperatorUnsupported
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.recipe import GateSpec, Recipe
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.model import (
    Decide,
    TrainSpec,
)
from reconciler.model.samples import SAMPLE_EVERY
from tests.compiler.recipes import TARGET, Files, forest_recipe, readings
from tests.compiler.sample_models import dense
from tests.compiler.tflite_builder import Model as Flat


@pytest.mark.parametrize("kind", ["FLOAT32", "UINT8"])
def test_a_converted_network_is_evaluated_in_real_units(kind: str) -> None:
    files = Files()
    rows = np.random.default_rng(1).normal(0, 1, (40, 6))
    rows[20:] *= 4
    text = "\n".join(
        [",".join("abcdef") + ",label"] + [",".join(f"{v:.4f}" for v in r) + f",{i // 20}" for i, r in enumerate(rows)]
    )
    data = files.add("evaluation.csv", text.encode())
    recipe = Recipe(
        "echo@1",
        files.add("m.tflite", dense(kind)),
        TARGET,
        decide=Decide.RECONSTRUCTION,
        parameters={"threshold": 0.5},
        gates=(GateSpec("auc", at_least=0.6, data=data),),
    )
    report = run_job(BuildJob(recipe, files.by_digest)).report
    assert [gate.metric for gate in report.gates] == ["pack_bytes", "arena_bytes", "golden_vectors", "auc"]
    assert len(report.notes) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decide": Decide.RECONSTRUCTION}, "needs a limit"),
        ({"parameters": {"threshold": 1.0}}, "spec.decide that uses it"),
        ({"decide": Decide.THRESHOLD, "parameters": {"threshold": 1e6}}, "outside the range of the model's output"),
        ({"gates": (GateSpec("agreement", at_least=0.5),)}, "needs data"),
    ],
)
def test_a_threshold_needs_a_decision_and_the_reverse(changes: dict[str, object], message: str) -> None:
    files = Files()
    recipe = Recipe("echo@1", files.add("m.tflite", dense("FLOAT32")), TARGET, **changes)  # type: ignore[arg-type]  # a test's shorthand
    with pytest.raises(BuildFailed, match=message):
        run_job(BuildJob(recipe, files.by_digest))


def test_an_unknown_file_type_is_refused() -> None:
    files = Files()
    with pytest.raises(ModelUnreadable, match=r"m\.weights has an unknown file type"):
        run_job(BuildJob(Recipe("m@1", files.add("m.weights", b"x"), TARGET), files.by_digest))


def built(files: Files, recipe: Recipe) -> BuildResult:
    return BuildPipeline(recipe, files.by_digest, lambda _step: None).build()


def rows(width: int, count: int = 40) -> bytes:
    values = np.random.default_rng(3).normal(0, 1, (count, width))
    values[count // 2 :] += 3
    lines = [
        ",".join(f"{value:.3f}" for value in row) + f",{number // (count // 2)}" for number, row in enumerate(values)
    ]
    return ("\n".join([",".join(f"c{number}" for number in range(width)) + ",label", *lines]) + "\n").encode()


def network(files: Files, **changes: Any) -> Recipe:  # noqa: ANN401 - fields of Recipe
    return Recipe("echo@1", files.add("m.tflite", dense("FLOAT32")), TARGET, **changes)


def test_a_classifier_is_evaluated_on_its_classes() -> None:
    files = Files()
    train = TrainSpec("random-forest", 5, 100, 7, label="label")
    data = files.add("evaluation.csv", readings(2, 200, odd=60))
    gates = (GateSpec("accuracy", at_least=0.8, data=data), GateSpec("agreement", at_least=0.9, data=data))
    recipe = forest_recipe(
        files, source=files.add("labelled.csv", readings(1, 300, odd=90)), train=train, parameters={}, gates=gates
    )
    report = built(files, recipe).report
    assert [gate.metric for gate in report.gates][-2:] == ["accuracy", "agreement"]
    assert all(gate.passed for gate in report.gates)


def test_a_network_with_a_threshold_is_evaluated_on_its_decisions() -> None:
    files = Files()
    data = files.add("evaluation.csv", rows(6))
    gate = GateSpec("auc", at_least=0.5, data=data)
    recipe = network(files, decide=Decide.THRESHOLD, parameters={"threshold": 0.1}, gates=(gate,))
    assert built(files, recipe).report.gates[-1].metric == "auc"
    hopeless = network(
        files,
        decide=Decide.THRESHOLD,
        parameters={"threshold": 0.1},
        gates=(GateSpec("auc", at_least=1.01, data=data),),
    )
    with pytest.raises(BuildGateFailed, match=r"auc is .*, but must be at least 1\.01"):
        built(files, hopeless)


def test_rows_of_the_wrong_width_are_refused() -> None:
    files = Files()
    gate = GateSpec("auc", at_least=0.5, data=files.add("narrow.csv", rows(4)))
    recipe = network(files, decide=Decide.RECONSTRUCTION, parameters={"threshold": 0.5}, gates=(gate,))
    with pytest.raises(BuildFailed, match="a row of the gate's data has 4 values; the model's input has 6"):
        built(files, recipe)


def test_a_forest_takes_no_spec_decide() -> None:
    files = Files()
    with pytest.raises(BuildFailed, match=r"spec\.decide applies to networks only"):
        built(files, forest_recipe(files, decide=Decide.ARGMAX))


def test_without_the_engine_the_reference_interpreter_runs_the_golden_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files()
    with_engine = built(files, forest_recipe(files))
    monkeypatch.setenv(FIRMWARE_VARIABLE, str(tmp_path))
    assert built(files, forest_recipe(files)) == with_engine
    golden = next(gate for gate in with_engine.report.gates if gate.metric == "golden_vectors")
    assert golden.passed
    assert golden.value > 0


def test_a_network_with_two_inputs_is_built() -> None:
    model = Flat()
    x, z, y = (model.tensor([1, 4]) for _ in range(3))
    model.operator("ADD", [x, z], [y], table="AddOptions")
    files = Files()
    made = built(files, Recipe("sum@1", files.add("m.tflite", model.finish([x, z], [y])), TARGET))
    assert made.report.operators == ("ADD",)


def _spectral_classifier() -> bytes:
    """Return a model as Edge Impulse exports it: one row of features, reshaped to a signal, a 1-D convolution."""
    rng = np.random.default_rng(5)
    model = Flat()
    x, at = model.tensor([1, 24], 0.05, -3), model.tensor([1, 1, 12, 2], 0.05, -3)
    model._graph.tensors[x].shapeSignature = [-1, 24]
    model.operator("RESHAPE", [x, model.constant([-1, 1, 12, 2])], [at], table="ReshapeOptions")
    w = model.tensor([4, 1, 3, 2], [0.01] * 4, data=rng.integers(-127, 128, (4, 1, 3, 2)).astype(np.int8))
    b = model.tensor([4], [0.0005] * 4, kind="INT32", data=rng.integers(-99, 99, 4).astype(np.int32))
    y = model.tensor([1, 1, 12, 4], 0.04, -128)
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "fusedActivationFunction": 1}
    model.operator("CONV_2D", [at, w, b], [y], table="Conv2DOptions", version=3, **options)
    pooled, flat = model.tensor([1, 1, 6, 4], 0.04, -128), model.tensor([1, 24], 0.04, -128)
    window = {"filterHeight": 1, "filterWidth": 2, "strideH": 1, "strideW": 2}
    model.operator("MAX_POOL_2D", [y], [pooled], table="Pool2DOptions", version=2, **window)
    model.operator("RESHAPE", [pooled, model.constant([-1, 24])], [flat], table="ReshapeOptions")
    w = model.tensor([3, 24], 0.01, data=rng.integers(-127, 128, (3, 24)).astype(np.int8))
    logits, scores = model.tensor([1, 3], 0.1, 4), model.tensor([1, 3], 1 / 256, -128)
    model.operator("FULLY_CONNECTED", [flat, w, -1], [logits], table="FullyConnectedOptions", version=4)
    model.operator("SOFTMAX", [logits], [scores], table="SoftmaxOptions", version=2, beta=1.0)
    return model.finish([x], [scores])


def test_an_export_with_the_suffix_lite_is_built() -> None:
    files = Files()
    recipe = Recipe("ei@1", files.add("ei-int8.lite", _spectral_classifier()), TARGET, decide=Decide.ARGMAX)
    operators = ("CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "SOFTMAX")
    assert tuple(sorted(built(files, recipe).report.operators)) == operators


def test_gates_of_a_network_with_two_inputs_take_both_in_one_row() -> None:
    model = Flat()
    x, z, y = (model.tensor([1, 2], 0.05) for _ in range(3))
    model.operator("ADD", [x, z], [y], table="AddOptions")
    files = Files()
    rows = np.random.default_rng(4).normal(0, 1, (40, 4))
    labels = (rows[:, :2] + rows[:, 2:]).argmax(axis=1)
    lines = [",".join(f"{value:.3f}" for value in row) + f",{label}" for row, label in zip(rows, labels, strict=True)]
    data = files.add("e.csv", ("a,b,c,d,label\n" + "\n".join(lines) + "\n").encode())
    gates = (GateSpec("accuracy", at_least=0.9, data=data),)
    recipe = Recipe("sum@1", files.add("m.tflite", model.finish([x, z], [y])), TARGET, gates=gates)
    assert built(files, recipe).report.gates[-1].passed


def test_an_unused_operator_that_the_reference_kernels_refuse_is_named_with_its_location() -> None:
    """The pack would leave the operator out, because nothing reads its output. The oracle runs the whole model."""
    model = Flat()
    x, y, unread = model.tensor([1, 4], 2.0), model.tensor([1, 4], 1.0), model.tensor([1, 4], 0.003)
    model.operator("QUANTIZE", [x], [y], table="QuantizeOptions")
    model.operator("HARD_SWISH", [x], [unread])
    files = Files()
    with pytest.raises(OperatorUnsupported, match=r"operator 1 \(HARD_SWISH\): .* refuses this model: \w+"):
        built(files, Recipe("swish@1", files.add("m.tflite", model.finish([x], [y])), TARGET))


def test_a_pack_as_a_source_keeps_its_bytes() -> None:
    files = Files()
    made = built(files, forest_recipe(files, parameters={"threshold": 0.6}))
    recipe = forest_recipe(files, source=files.add("model.pack", made.pack), train=None, parameters={"threshold": 0.6})
    again = built(files, recipe)
    assert (again.pack, again.report.digest) == (made.pack, made.report.digest)
    assert "golden_vectors" in {gate.metric for gate in again.report.gates}
    sampled = built(files, replace(recipe, parameters={"threshold": 0.6, SAMPLE_EVERY: 12}))
    assert sampled.pack == with_sampling(made.pack, {SAMPLE_EVERY: 12})


@pytest.mark.parametrize(
    ("damage", "parameters", "message"),
    [
        (0, {"threshold": 0.61}, "the pack was made with another value"),
        (0, {}, "has a parameter that the document does not state"),
        (0, {"limit": 1.0}, "has no parameter limit"),
        (1, {"threshold": 0.6}, "does not start with TFPK"),
    ],
)
def test_a_pack_as_a_source_is_checked(damage: int, parameters: dict[str, float], message: str) -> None:
    files = Files()
    data = bytearray(built(files, forest_recipe(files, parameters={"threshold": 0.6})).pack)
    data[0] ^= damage
    source = files.add("model.pack", bytes(data))
    with pytest.raises(BuildFailed, match=message):
        built(files, forest_recipe(files, source=source, train=None, parameters=parameters))
