# SPDX-License-Identifier: Apache-2.0
"""One build from beginning to end, in this process: what is judged, and what a document may not ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconciler.compiler.build_report import Built
from reconciler.compiler.errors import BuildFailed, BuildGateFailed, OperatorUnsupported
from reconciler.compiler.pipeline import BuildPipeline
from reconciler.compiler.recipe import GateSpec, Recipe
from reconciler.compiler.runner import FIRMWARE_VARIABLE
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.model import Decide, TrainSpec
from tests.compiler.flatbuilder import Model as Flat
from tests.compiler.recipes import TARGET, Files, forest_recipe, readings
from tests.compiler.test_ends import dense


def built(files: Files, recipe: Recipe) -> Built:
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


def test_a_class_forest_is_judged_by_its_classes() -> None:
    files = Files()
    train = TrainSpec("random-forest", 5, 100, 7, label="label")
    data = files.add("judged.csv", readings(2, 200, odd=60))
    gates = (GateSpec("accuracy", at_least=0.8, data=data), GateSpec("agreement", at_least=0.9, data=data))
    recipe = forest_recipe(
        files, source=files.add("labelled.csv", readings(1, 300, odd=90)), train=train, parameters={}, gates=gates
    )
    report = built(files, recipe).report
    assert [gate.metric for gate in report.gates][-2:] == ["accuracy", "agreement"]
    assert all(gate.passed for gate in report.gates)


def test_a_network_that_decides_by_a_threshold_is_judged_by_what_it_decides() -> None:
    files = Files()
    data = files.add("judged.csv", rows(6))
    gate = GateSpec("auc", at_least=0.5, data=data)
    recipe = network(files, decide=Decide.THRESHOLD, parameters={"threshold": 0.1}, gates=(gate,))
    assert built(files, recipe).report.gates[-1].metric == "auc"
    hopeless = network(
        files,
        decide=Decide.THRESHOLD,
        parameters={"threshold": 0.1},
        gates=(GateSpec("auc", at_least=1.01, data=data),),
    )
    with pytest.raises(BuildGateFailed, match=r"auc is .*, it must be at least 1\.01"):
        built(files, hopeless)


def test_rows_of_another_width_than_the_model_takes() -> None:
    files = Files()
    gate = GateSpec("auc", at_least=0.5, data=files.add("narrow.csv", rows(4)))
    recipe = network(files, decide=Decide.RECONSTRUCTION, parameters={"threshold": 0.5}, gates=(gate,))
    with pytest.raises(BuildFailed, match="a row has 4 values, the model takes 6"):
        built(files, recipe)


def test_a_forest_decides_by_itself() -> None:
    files = Files()
    with pytest.raises(BuildFailed, match=r"spec\.decide is for networks"):
        built(files, forest_recipe(files, decide=Decide.ARGMAX))


def test_without_the_engines_program_the_reference_runs_the_golden_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files()
    with_engine = built(files, forest_recipe(files))
    monkeypatch.setenv(FIRMWARE_VARIABLE, str(tmp_path))
    assert built(files, forest_recipe(files)) == with_engine
    golden = next(gate for gate in with_engine.report.gates if gate.metric == "golden_vectors")
    assert golden.passed
    assert golden.value > 0


def test_a_network_of_two_inputs_is_built() -> None:
    model = Flat()
    x, z, y = (model.tensor([1, 4]) for _ in range(3))
    model.operator("ADD", [x, z], [y], table="AddOptions")
    files = Files()
    made = built(files, Recipe("sum@1", files.add("m.tflite", model.finish([x, z], [y])), TARGET))
    assert made.report.operators == ("ADD",)


def test_inputs_that_are_left_out_where_they_are_needed() -> None:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("ADD", [x, -1], [y], table="AddOptions")
    with pytest.raises(OperatorUnsupported, match="input 1 is missing"):
        build_network(model.finish([x], [y]))


def test_a_bias_of_another_length_than_the_channels() -> None:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 2])
    w = model.tensor([2, 4], data=np.ones((2, 4), np.int8))
    b = model.tensor([3], 0.01, kind="INT32", data=np.ones(3, np.int32))
    model.operator("FULLY_CONNECTED", [x, w, b], [y], table="FullyConnectedOptions")
    with pytest.raises(OperatorUnsupported, match="bias"):
        build_network(model.finish([x], [y]))


def test_filters_that_do_not_match_their_channels() -> None:
    model = Flat()
    x, y = model.tensor([1, 4, 4, 3]), model.tensor([1, 4, 4, 2])
    w = model.tensor([2, 1, 1, 2], data=np.ones((2, 1, 1, 2), np.int8))
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    model.operator("CONV_2D", [x, w, -1], [y], table="Conv2DOptions", **options)
    with pytest.raises(OperatorUnsupported, match="3 channels don't match filters of depth 2"):
        build_network(model.finish([x], [y]))


def test_a_model_that_the_reference_kernels_refuse_is_refused_by_operator_and_place() -> None:
    """The pack would leave the operator out, for nobody reads what it makes; the oracle is given the whole model."""
    model = Flat()
    x, y, unread = model.tensor([1, 4], 2.0), model.tensor([1, 4], 1.0), model.tensor([1, 4], 0.003)
    model.operator("QUANTIZE", [x], [y], table="QuantizeOptions")
    model.operator("HARD_SWISH", [x], [unread])
    files = Files()
    with pytest.raises(OperatorUnsupported, match=r"operator 1 \(HARD_SWISH\): .* refuse it: \w+"):
        built(files, Recipe("swish@1", files.add("m.tflite", model.finish([x], [y])), TARGET))
