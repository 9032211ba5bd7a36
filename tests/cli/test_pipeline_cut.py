# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pipeline cut`, and the same prediction in the review of the change that adds the pipeline."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo.world import document
from reconciler.cli import cli
from reconciler.compiler.pack.operators import NAMES
from tests.pipeline.networks import branched

MODEL = branched()
CAMERAS = ("cam-1", "cam-2", "cam-3")


def fleet(slot_bytes: int) -> dict[str, bytes]:
    kind = {
        "architecture": "cortex-m4",
        "slotBytes": slot_bytes,
        "arenaBytes": 16384,
        "operators": sorted(NAMES.values()),
    }
    source = {"path": "net.tflite", "sha256": hashlib.sha256(MODEL).hexdigest()}
    key = {name: f"{number:02x}" * 32 for number, name in enumerate(CAMERAS, start=1)}
    return {
        "net.tflite": MODEL,
        "fleet.yaml": document("Fleet", "plant", {}),
        "gateway.yaml": document("Gateway", "hall", {"selector": {}}),
        "type.yaml": document("DeviceType", "camera", kind, {"clock-mhz": "25"}),
        "model.yaml": document("Model", "net", {"version": "1.0.0", "source": source}),
        **{
            f"{name}.yaml": document("Device", name, {"type": "camera", "link": {"mqtt": {}}, "publicKey": key[name]})
            for name in CAMERAS
        },
    }


PIPELINE = document(
    "Pipeline",
    "line",
    {"model": {"name": "net", "version": "1.0.0"}, "stages": [{"devices": ["cam-1"]}, {"devices": ["cam-2", "cam-3"]}]},
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "fleet"
    folder.mkdir()
    for name, data in fleet(1500).items():
        (folder / name).write_bytes(data)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    (folder / "pipeline.yaml").write_bytes(PIPELINE)
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "change")


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(cli, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_the_cuts_are_shown_and_the_review_predicts_the_same(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    cut = json.loads(run("pipeline", "cut", "line", repository, "--store", store, "--output", "json"))
    first, second = cut["stages"]
    assert (first["first"], first["end"]) == (0, second["first"])
    assert all(stage["packBytes"] <= 1500 for stage in cut["stages"])
    assert [(loss["device"], loss["takenBy"]) for loss in cut["deaths"]] == [("cam-1", "gateway"), ("cam-2", "cam-3")]
    text = run("pipeline", "cut", "line", repository, "--store", store)
    assert "cam-2, cam-3" in text
    change = ("plan", repository, "--base", "HEAD~1", "--store", store)
    reviewed = json.loads(run(*change, "--output", "json"))["pipelines"]
    assert reviewed == [{key: value for key, value in cut.items() if key != "notes"}]
    comment = run(*change)
    assert "#### Pipeline line: net" in comment
    assert f"| cam-2 | 2 | cam-3 | the same bytes | {cut['deaths'][1]['gapMs']:,.0f} ms |" in comment


def test_a_review_without_a_store_says_that_nothing_is_built(repository: Path) -> None:
    assert "The stages are not built" in run("plan", repository, "--base", "HEAD~1")


def test_no_pipeline_is_shown_that_a_change_does_not_touch(repository: Path) -> None:
    (repository / "cam-9.yaml").write_bytes(
        document("Device", "cam-9", {"type": "camera", "link": {"mqtt": {}}, "publicKey": "a9" * 32})
    )
    commit(repository)
    assert json.loads(run("plan", repository, "--base", "HEAD~1", "--output", "json"))["pipelines"] == []


def test_a_pipeline_that_fits_nowhere_is_explained(repository: Path, tmp_path: Path) -> None:
    for name, data in fleet(1000).items():
        (repository / name).write_bytes(data)
    arguments = ("pipeline", "cut", "line", repository, "--store", tmp_path / "store")
    result = CliRunner().invoke(cli, list(map(str, arguments)))
    assert result.exit_code != 0
    assert "of the 9 operators fit" in f"{result.output}{result.exception}"
