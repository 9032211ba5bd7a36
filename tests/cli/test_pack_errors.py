# SPDX-License-Identifier: Apache-2.0
"""Errors of `tinyfleet pack`, and reviews with a build store or an observed state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reconciler.cli.inputs.payload_sizes import PayloadSizes
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.engine_runner import ExecutionTarget, runner_is_built
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.service import BuildService
from reconciler.model import ModelRef, TypeId, Version
from reconciler.review.transfer_volume import TransferKind
from tests.cli.test_build_and_pack import TYPE, run
from tests.compiler.recipes import Files, forest_recipe
from tests.compiler.sample_models import dense
from tests.compiler.tflite_builder import Model
from tests.plan.example_fleet import ESP32, V1, V2, device, fleet
from tests.review.changes import fleet_files, fleet_history, reviewed, rollout_document

HEAD = {"apiVersion": "tinyfleet/v1alpha1", "kind": "Observed"}


def test_a_conversion_of_a_model_is_noted(tmp_path: Path) -> None:
    source = tmp_path / "m.tflite"
    source.write_bytes(dense("FLOAT32"))
    made = run("pack", "make", source, "--for", TYPE, "-o", tmp_path / "m.pack")
    assert made.exit_code == 0, made.output
    assert "note: input 0 is int8 on the device; the gateway converts from FLOAT32" in made.output


def test_a_device_type_with_errors_is_reported_with_its_lines(tmp_path: Path) -> None:
    kind = tmp_path / "type.yaml"
    kind.write_text(TYPE.read_text().replace("slotBytes:", "slotBites:"))
    source = tmp_path / "m.tflite"
    source.write_bytes(dense("FLOAT32"))
    error = run("pack", "make", source, "--for", kind, "-o", tmp_path / "m.pack").exception
    assert isinstance(error, BuildFailed)
    assert f"{kind}:" in str(error)
    assert "slotBites" in str(error)


def _sum_of_two_inputs(tmp_path: Path) -> Path:
    model = Model()
    x, z, y = model.tensor([1, 4]), model.tensor([1, 2, 1]), model.tensor([1, 2, 4])
    model.operator("ADD", [x, z], [y], table="AddOptions")
    (tmp_path / "m.tflite").write_bytes(model.finish([x, z], [y]))
    made = run("pack", "make", tmp_path / "m.tflite", "--for", TYPE, "-o", tmp_path / "m.pack")
    assert made.exit_code == 0, made.output
    np.save(tmp_path / "x.npy", np.array([[1, 2, 3, 4], [5, 6, 7, 8]]))
    np.save(tmp_path / "z.npy", np.array([[10, 20], [30, 40]]))
    return tmp_path / "m.pack"


@pytest.mark.skipif(not runner_is_built(ExecutionTarget.HOST), reason="needs `make firmware-runner`")
def test_a_model_with_two_inputs_takes_a_file_for_each(tmp_path: Path) -> None:
    pack = _sum_of_two_inputs(tmp_path)
    paths = ("--input", tmp_path / "x.npy", "--input", tmp_path / "z.npy", "--out", tmp_path / "y.npy")
    done = run("pack", "run", pack, *paths)
    assert done.exit_code == 0, done.output
    expected = [[[11, 12, 13, 14], [21, 22, 23, 24]], [[35, 36, 37, 38], [45, 46, 47, 48]]]
    assert np.load(tmp_path / "y.npy").tolist() == expected


def test_a_file_is_missing_or_has_too_few_rows_for_two_inputs(tmp_path: Path) -> None:
    pack = _sum_of_two_inputs(tmp_path)
    out = ("--out", tmp_path / "y.npy")
    error = run("pack", "run", pack, "--input", tmp_path / "x.npy", *out).exception
    assert isinstance(error, BuildFailed)
    assert "the model has 2 inputs, but --input names 1 files" in str(error)
    np.save(tmp_path / "z.npy", np.array([[10, 20]]))
    error = run("pack", "run", pack, "--input", tmp_path / "x.npy", "--input", tmp_path / "z.npy", *out).exception
    assert isinstance(error, BuildFailed)
    assert "have 2 and 1 rows" in str(error)


# ---------------------------------------------------------------- payload sizes from a store


def test_only_built_models_have_a_size(tmp_path: Path) -> None:
    desired = fleet([device(1)])
    sizes = PayloadSizes(str(tmp_path), desired, desired)
    assert sizes.artifacts([(V2, ESP32.name)]) == {}
    assert sizes.of(TransferKind(None, V2, ESP32.name)) is None
    gone = ModelRef("gone", Version("1"))
    assert sizes.artifacts([(gone, ESP32.name), (V1, TypeId("gone"))]) == {}


def test_a_build_of_another_recipe_does_not_count(tmp_path: Path) -> None:
    files, others = Files(), Files()
    wanted = forest_recipe(files)
    other = forest_recipe(others, parameters={"threshold": 0.5})
    service = BuildService(ArtifactStore(str(tmp_path)))
    built = service.build(other, others)
    service.close()
    assert built.report.recipe == other.digest != wanted.digest
    assert BuildService(ArtifactStore(str(tmp_path))).cached(wanted) is None


# ---------------------------------------------------------------- a review with an observed state


def test_an_observed_state_replaces_the_status_branches(tmp_path: Path) -> None:
    made = fleet_history(tmp_path)
    base = made.commit(fleet_files(devices=3))
    head = made.commit({"rollout.yaml": rollout_document("2")})
    runs = {"lastSeen": "2026-11-21T11:59:00Z", "phase": "confirmed", "running": "ab" * 32}
    path = tmp_path / "observed.json"
    path.write_text(json.dumps({**HEAD, "at": "2026-11-21T12:00:00Z", "devices": {"pump-00": runs}}))
    document = reviewed(made, base, head, "--observed", path)
    actions = {each["device"]: each for each in document["devices"]}
    assert actions["pump-00"]["action"] == "install"
    assert {each["action"] for name, each in actions.items() if name != "pump-00"} == {"blocked"}  # never reported
