# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet build` and `tinyfleet pack`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.compiler.engine_runner import ExecutionTarget, runner_is_built
from reconciler.compiler.errors import BuildFailed, OperatorUnsupported, PackMalformed
from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from tests.compiler.make_vectors import good_packs
from tests.compiler.tflite_builder import Model

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "fleet-repo-example"
PLACES = [
    pytest.param(place, marks=[] if place is ExecutionTarget.HOST else [pytest.mark.emulator])
    for place in ExecutionTarget
]
TYPE = EXAMPLE / "device-types" / "vibration-wifi.yaml"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_the_example_builds_once_and_is_cached(tmp_path: Path) -> None:
    first = run("build", EXAMPLE, "--store", tmp_path, "--quiet")
    assert first.exit_code == 0, first.output
    assert "line-current@1.0.0 for current-serial: built:" in first.output
    assert "auc " in first.output
    again = run("build", "line-current@1.0.0", EXAMPLE, "--store", tmp_path)
    assert "line-current@1.0.0 for current-serial: cached:" in again.output
    assert "1.1.0" not in again.output
    _, row = json.loads(run("build", "line-current@1.0.0", EXAMPLE, "--store", tmp_path, "--output", "json").stdout)
    assert (row["model"], row["type"], row["result"]) == ("line-current@1.0.0", "current-serial", "cached")
    assert "auc" in {gate["metric"] for gate in row["gates"]}


def test_progress_is_shown(tmp_path: Path) -> None:
    result = run("build", "line-current@1.0.0", EXAMPLE, "--store", tmp_path)
    assert "line-current@1.0.0 for current-serial: train ..." in result.output


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet"
    shutil.copytree(EXAMPLE, fleet)
    document = fleet / "models" / "line-current" / "model.yaml"
    document.write_text(document.read_text().replace("atLeast: 0.95", "atLeast: 0.999", 1))
    result = run("build", "line-current", fleet, "--store", tmp_path / "store", "--quiet")
    assert result.exit_code == 1
    assert "line-current@1.0.0 for current-serial: FAILED: auc is 0.9" in result.output
    assert "but must be at least 0.999" in result.output
    assert "line-current@1.1.0 for current-serial: built:" in result.output


def test_a_missing_operator_is_reported(tmp_path: Path) -> None:
    result = run("build", "line-current@1.0.0", EXAMPLE, "--for", "vibration-wifi", "--store", tmp_path, "--quiet")
    assert result.exit_code == 1
    assert "vibration-wifi lacks the operators TREE_ENSEMBLE" in result.output


def test_models_that_no_type_can_run_are_listed_with_their_reasons(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet"
    shutil.copytree(EXAMPLE, fleet)
    document = fleet / "models" / "line-current" / "model.yaml"
    text = document.read_text()
    assert text.count("operators: [TREE_ENSEMBLE]") == 2
    document.write_text(
        text.replace("operators: [TREE_ENSEMBLE]", "operators: []", 1).replace(
            "operators: [TREE_ENSEMBLE]", "operators: [TREE_ENSEMBLE, CONV_2D]"
        )
    )
    result = run("build", "line-current", fleet, "--store", tmp_path / "store")
    assert result.exit_code == 1
    assert (
        "line-current@1.0.0: spec.needs.operators is left out: add it, or name a device type with --for"
        in result.output
    )
    assert "line-current@1.1.0 needs CONV_2D, TREE_ENSEMBLE" in result.output
    assert "current-serial lacks CONV_2D" in result.output


def test_a_dry_run_builds_nothing(tmp_path: Path) -> None:
    result = run("build", "line-current", EXAMPLE, "--store", tmp_path, "--dry-run")
    assert result.output.splitlines() == [
        f"line-current@{version} for {kind}: would be built"
        for version in ("1.0.0", "1.1.0")
        for kind in ("current-micropython", "current-serial")
    ]
    assert list(tmp_path.iterdir()) == []
    built = run("build", "line-current@1.0.0", EXAMPLE, "--store", tmp_path, "--quiet")
    preview = json.loads(run("build", EXAMPLE, "--store", tmp_path, "--dry-run", "--output", "json").stdout)
    results = {row["model"]: (row["result"], row.get("digest")) for row in preview if row["type"] == "current-serial"}
    assert results["line-current@1.1.0"] == ("would-build", None)
    assert results["line-current@1.0.0"][0] == "cached"
    assert str(results["line-current@1.0.0"][1]) in built.output


def test_a_repository_with_errors_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\n")
    result = run("build", tmp_path, "--store", tmp_path / "store")
    assert result.exit_code == 1
    assert "apiVersion" in result.output


def test_a_file_becomes_a_pack_that_can_be_inspected(tmp_path: Path) -> None:
    source = EXAMPLE / "models" / "pump-vibration" / "autoencoder-1.1.0.tflite"
    packs = []
    for version, extra in (("old", []), ("new", ["--decide", "reconstruction", "--threshold", 0.002])):
        packs.append(tmp_path / f"{version}.pack")
        made = run("pack", "make", source, "--for", TYPE, "-o", packs[-1], *extra)
        assert made.exit_code == 0, made.output
        assert "arena" in made.output
    shown = run("pack", "inspect", packs[1]).output
    assert all(word in shown for word in ("CONV_2D", "WEIGHTS", "HEAD", "arena", "reconstruction", "128"))
    difference = run("pack", "diff", *packs).output
    assert all(word in difference for word in ("patch", "compressed", "raw"))
    assert "only an envelope" in run("pack", "diff", packs[0], packs[0]).output
    sizes = json.loads(run("pack", "diff", *packs, "--output", "json").output)
    assert not sizes["identical"]
    assert sizes["payloads"].keys() >= {"patch", "compressed", "raw"}


@pytest.mark.parametrize("name", ["forest isolation", "threshold int16", "softmax"])
def test_every_kind_can_be_inspected(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.pack"
    path.write_bytes(good_packs()[name])
    result = run("pack", "inspect", path)
    assert result.exit_code == 0
    assert f"{path.stat().st_size} bytes" in result.output
    sheets = json.loads(run("pack", "inspect", path, "--output", "json").output)
    assert f"{path.stat().st_size} bytes" in sheets[0]["title"]


def test_a_damaged_pack_is_refused(tmp_path: Path) -> None:
    pack = disassemble(good_packs()["softmax"])
    damaged = {**pack.sections, SectionId.PLAN: pack.section(SectionId.PLAN)[:-4]}
    path = tmp_path / "x.pack"
    path.write_bytes(assemble(type(pack)(pack.kind, pack.arena_bytes, damaged)))
    assert isinstance(run("pack", "inspect", path).exception, PackMalformed)


def test_an_unsupported_operator_is_named_with_its_replacement(tmp_path: Path) -> None:
    model = Model()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("DIV", [x, x], [y], table="DivOptions")
    path = tmp_path / "m.tflite"
    path.write_bytes(model.finish([x], [y]))
    error = run("pack", "make", path, "--for", TYPE, "-o", tmp_path / "m.pack").exception
    assert isinstance(error, OperatorUnsupported)
    assert "operator 0 (DIV) is not supported: multiply by the reciprocal of the constant" in str(error)
    assert not (tmp_path / "m.pack").exists()


def test_trees_as_json_become_a_pack(tmp_path: Path) -> None:
    tree = {
        "feature": [1, 0, 0],
        "threshold": [10, 0, 0],
        "left": [1, -1, -1],
        "right": [2, -1, -1],
        "value": [9, 3, 6],
    }
    document = {"format": "tinyfleet-forest/1", "mode": "isolation", "features": 2, "subsample": 9, "trees": [tree]}
    source = tmp_path / "trees.json"
    source.write_text(json.dumps(document))
    kind = EXAMPLE / "device-types" / "current-serial.yaml"
    result = run(
        "pack", "make", source, "--for", kind, "--scheme", "int16", "--threshold", 0.6, "-o", tmp_path / "t.pack"
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "place",
    [pytest.param(p, marks=pytest.mark.emulator if p is not ExecutionTarget.HOST else ()) for p in ExecutionTarget],
)
@pytest.mark.parametrize("name", ["head reconstruction", "forest isolation", "threshold int16"])
def test_a_pack_runs_on_the_device_engine(tmp_path: Path, name: str, place: ExecutionTarget) -> None:
    if not runner_is_built(place):
        pytest.skip("needs `make firmware-runner`")
    data = good_packs()[name]
    reference = ReferenceInterpreter(data)
    (tmp_path / "x.pack").write_bytes(data)
    given = reference.inputs[0]
    raw = [generate_inputs(seed, [given])[0] for seed in (5, 6, 7)]
    np.save(tmp_path / "x.npy", np.array([np.frombuffer(blob, given.type.code) for blob in raw]))
    paths = ("--input", tmp_path / "x.npy", "--out", tmp_path / "y.npy", "--on", place.value)
    result = run("pack", "run", tmp_path / "x.pack", *paths)
    assert result.exit_code == 0, result.output
    wanted = [reference.run([blob]) for blob in raw]
    assert [f"decision {each.decision}, score {each.score}" in result.output for each in wanted] == [True] * 3
    made = np.load(tmp_path / "y.npy")
    assert [row.tobytes() for row in made] == [each.outputs[0] for each in wanted]


@pytest.mark.parametrize("rows", [np.zeros((2, 31)), np.full((1, 32), 128), np.full((1, 32), -129)])
def test_inputs_that_do_not_fit_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    (tmp_path / "x.pack").write_bytes(good_packs()["head reconstruction"])
    np.save(tmp_path / "x.npy", rows)
    paths = ("--input", tmp_path / "x.npy", "--out", tmp_path / "y.npy")
    error = run("pack", "run", tmp_path / "x.pack", *paths).exception
    assert isinstance(error, BuildFailed)
    assert "must hold rows of 32 values from -128 to 127" in str(error)


def test_a_document_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = EXAMPLE / "models" / "pump-vibration" / "autoencoder-1.1.0.tflite"
    error = run("pack", "make", source, "--for", EXAMPLE / "fleet.yaml", "-o", tmp_path / "x").exception
    assert isinstance(error, BuildFailed)
    assert "DeviceType" in str(error)


def test_ctrl_c_ends_a_build_at_once_however_often_it_is_pressed(tmp_path: Path) -> None:
    store, temporary = tmp_path / "store", tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "reconciler.cli", "build", "line-current", str(EXAMPLE), "--store", str(store)]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        rest = process.stderr.read()
    assert first.startswith("line-current@1.0.0 for current-micropython: ")
    assert (process.returncode, rest.splitlines()[-1:]) == (1, ["Aborted!"])
    assert "Traceback" not in rest
    assert list(temporary.iterdir()) == []
    assert [path for path in store.rglob("*") if path.is_file() and path.parent.name != "locks"] == []
