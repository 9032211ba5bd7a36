# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pack` and the reviews that look into a store: what is said when something is missing or does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reconciler.cli.inputs.payload_sizes import PayloadSizes
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.service import BuildService
from reconciler.model import ModelRef, TypeId, Version
from reconciler.review.transfer_volume import TransferKind
from tests.cli.test_build_and_pack import TYPE, run
from tests.compiler.recipes import Files, forest_recipe
from tests.compiler.sample_models import dense
from tests.compiler.tflite_builder import Model
from tests.plan.example_fleet import ESP32, V1, V2, device, fleet
from tests.review.changes import fleet_files, reviewed, rollout_document, works

HEAD = {"apiVersion": "tinyfleet/v1alpha1", "kind": "Observed"}


def test_what_is_cut_off_a_model_is_told(tmp_path: Path) -> None:
    source = tmp_path / "m.tflite"
    source.write_bytes(dense("FLOAT32"))
    made = run("pack", "make", source, "--for", TYPE, "-o", tmp_path / "m.pack")
    assert made.exit_code == 0, made.output
    assert "note: input 0 is int8 on the device; the gateway converts from FLOAT32" in made.output


def test_a_device_type_with_mistakes_is_told_with_its_lines(tmp_path: Path) -> None:
    kind = tmp_path / "type.yaml"
    kind.write_text(TYPE.read_text().replace("slotBytes:", "slotBites:"))
    source = tmp_path / "m.tflite"
    source.write_bytes(dense("FLOAT32"))
    error = run("pack", "make", source, "--for", kind, "-o", tmp_path / "m.pack").exception
    assert isinstance(error, BuildFailed)
    assert f"{kind}:" in str(error)
    assert "slotBites" in str(error)


def test_a_model_of_two_inputs_can_not_be_run_from_one_array(tmp_path: Path) -> None:
    model = Model()
    x, z, y = (model.tensor([1, 4]) for _ in range(3))
    model.operator("ADD", [x, z], [y], table="AddOptions")
    (tmp_path / "m.tflite").write_bytes(model.finish([x, z], [y]))
    made = run("pack", "make", tmp_path / "m.tflite", "--for", TYPE, "-o", tmp_path / "m.pack")
    assert made.exit_code == 0, made.output
    np.save(tmp_path / "x.npy", np.zeros((1, 4)))
    paths = ("--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    error = run("pack", "run", tmp_path / "m.pack", *paths).exception
    assert isinstance(error, BuildFailed)
    assert "the model has 2 inputs" in str(error)


# ---------------------------------------------------------------- what a store knows


def test_a_store_quotes_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    desired = fleet([device(1)])
    quotes = PayloadSizes(str(tmp_path), desired, desired)
    assert quotes.artifacts([(V2, ESP32.name)]) == {}
    assert quotes.of(TransferKind(None, V2, ESP32.name)) is None
    gone = ModelRef("gone", Version("1"))
    assert quotes.artifacts([(gone, ESP32.name), (V1, TypeId("gone"))]) == {}


def test_a_build_of_another_recipe_is_not_taken(tmp_path: Path) -> None:
    files, others = Files(), Files()
    wanted = forest_recipe(files)
    other = forest_recipe(others, parameters={"threshold": 0.5})
    service = BuildService(ArtifactStore(str(tmp_path)))
    built = service.build(other, others)
    service.close()
    assert built.report.recipe == other.digest != wanted.digest
    assert BuildService(ArtifactStore(str(tmp_path))).cached(wanted) is None


# ---------------------------------------------------------------- a review by an observed state


def test_a_review_by_an_observed_state_looks_at_no_status(tmp_path: Path) -> None:
    made = works(tmp_path)
    base = made.commit(fleet_files(devices=3))
    head = made.commit({"rollout.yaml": rollout_document("2")})
    runs = {"lastSeen": "2026-11-21T11:59:00Z", "phase": "confirmed", "running": "ab" * 32}
    path = tmp_path / "observed.json"
    path.write_text(json.dumps({**HEAD, "at": "2026-11-21T12:00:00Z", "devices": {"pump-00": runs}}))
    told = reviewed(made, base, head, "--observed", path)
    actions = {each["device"]: each for each in told["devices"]}
    assert actions["pump-00"]["action"] == "install"
    assert {each["action"] for name, each in actions.items() if name != "pump-00"} == {"cant"}  # never heard
