# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet training`: statuses, what one would be made of, and a run that is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.compiler.training.run_folder import RunFolder
from reconciler.compiler.training.snapshot import Snapshot
from reconciler.daemon import runtime_status
from reconciler.daemon.instance_lock import held
from reconciler.model import TrainingId
from reconciler.report.training_status import training_file, training_status
from tests.cli.gateway_folder import GatewayFolder, gateway_folder
from tests.cli.test_contest import CONTEST, asked, error, fill, knowledge, words
from tests.compiler.training.test_run_folder import RECORD, WINDOWS
from tests.knowledge.knowledge_samples import NOON
from tests.report.test_training_status import FIGURES, REPORT, STAMP
from tests.review.changes import fleet_files, fleet_history

TRAINING = """\
apiVersion: tinyfleet/v1alpha1
kind: Training
metadata: {name: nightly}
spec:
  contest: wear
  model: wear
  data: {last: 99999d}
  try: [{method: isolation-forest, trees: [7], features: {of: [{statistic: rms}]}}]
  trials: 3
"""
NIGHTLY = TrainingId("nightly")


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    """Make a gateway that enforces a fleet with a training, and has collected 30 normal windows and 8 alarms."""
    made, history = gateway_folder(tmp_path), fleet_history(tmp_path)
    files = {path: text.replace("[CONV_2D]", "[CONV_2D, TREE_ENSEMBLE]") for path, text in fleet_files().items()}
    commit = history.commit({**files, "contest.yaml": CONTEST, "training.yaml": TRAINING})
    (made.folder / "state").mkdir(exist_ok=True)
    mirror = made.folder / "state" / "mirror.git"
    history.git("clone", "--quiet", "--mirror", str(history.path), str(mirror))
    history.git("--git-dir", str(mirror), "update-ref", "refs/tinyfleet/applied", commit)
    made.publish()
    with knowledge(made) as writer:
        fill(writer)
    return made


def publish(gateway: GatewayFolder) -> None:
    state = gateway.state()
    state.save_status_files({"trainings/nightly.yaml": training_file(training_status(REPORT, STAMP, None))}, set())
    state.close()


def test_a_training_is_listed_and_shown_with_its_figures(gateway: GatewayFolder) -> None:
    publish(gateway)
    assert "nightly hall forest Waiting 40 of 40, 1 failed 12 of 5,000" in words(gateway, "training", "list")
    text = words(gateway, "training", "show", "nightly")
    for part in (
        "windows 800 normal and 0 anomalous windows to train on, 400 and 12 to evaluate on",
        "waits until 2026-12-06 12:00 UTC",
        "Trained True Merged",
        "forest@20261129-01234567 1.00 97.5 % 0.61 1,834 isolation-forest, 20 trees, of rms",
    ):
        assert part in text, part
    (fields,) = asked(gateway, "training", "show", "nightly")
    assert fields["trials"] == {"done": 40, "of": 40, "failed": 1}
    assert fields["best"][0]["packBytes"] == 1834


def test_a_running_daemon_adds_the_progress(gateway: GatewayFolder) -> None:
    publish(gateway)
    state_dir = gateway.folder / "state"
    newest = replace(FIGURES, done=17, state="Training")
    status = runtime_status.RuntimeStatus(NOON, 1, "", None, True, "", trainings={newest.training: newest})  # noqa: FBT003
    runtime_status.write(state_dir, status)
    assert asked(gateway, "training", "list")[0]["trials"]["done"] == 40
    with held(state_dir):
        assert asked(gateway, "training", "list")[0]["trials"]["done"] == 17


def test_the_progress_is_watched_until_ctrl_c(gateway: GatewayFolder) -> None:
    publish(gateway)
    state_dir = gateway.folder / "state"

    def report(done: int) -> None:
        newest = replace(FIGURES, done=done, state="Training")
        status = runtime_status.RuntimeStatus(NOON, 1, "", None, True, "", trainings={newest.training: newest})  # noqa: FBT003
        runtime_status.write(state_dir, status)

    report(17)
    command = [sys.executable, "-m", "reconciler.cli", "training", "show", "nightly", "--watch"]
    config = ["--config", str(gateway.folder / "gateway.toml")]
    with held(state_dir), subprocess.Popen([*command, *config], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "17 of 40" in next(line for line in watching.stdout if line.startswith("trials"))
        report(18)
        assert "18 of 40" in next(line for line in watching.stdout if line.startswith("trials"))
        watching.send_signal(signal.SIGINT)
    assert watching.returncode == 0


def test_trainings_are_read_from_the_status_branches_of_a_clone(tmp_path: Path) -> None:
    made = fleet_history(tmp_path)
    made.commit(fleet_files())
    made.status({"trainings/nightly.yaml": training_file(training_status(REPORT, STAMP, None))}, "north")
    clone = tmp_path / "clone"
    made.git("clone", "--quiet", str(made.path), str(clone))
    gateway = gateway_folder(tmp_path)
    (found,) = asked(gateway, "training", "list", str(clone))
    assert (found["training"], found["gateway"], found["state"]) == ("nightly", "north", "Waiting")
    assert "no training named other; known trainings: `nightly`" in error(
        gateway.tinyfleet("training", "show", "other", str(clone))
    )


def test_a_gateway_without_trainings(gateway: GatewayFolder) -> None:
    assert gateway.tinyfleet("training", "list").output.strip() == "no trainings"
    assert "known trainings: none" in error(gateway.tinyfleet("training", "show", "nightly"))


def test_a_dry_run_shows_what_would_be_trained_on_what_and_asks_for_nothing(gateway: GatewayFolder) -> None:
    fields = asked(gateway, "training", "run", "nightly", "--dry-run")
    assert fields["windows"] == {
        "trainedNormal": 27,
        "trainedAnomalous": 0,
        "evaluatedNormal": 11,
        "evaluatedAnomalous": 0,
        "unusable": 0,
    }
    assert fields["missing"] == "11 of at least 20 normal windows to evaluate on"
    assert [trial["number"] for trial in fields["trials"]] == [1, 2, 3]
    assert {(trial["trees"], *trial["features"]) for trial in fields["trials"]} == {(7, "rms")}
    text = words(gateway, "training", "run", "nightly", "--dry-run")
    assert "nothing would be trained: 11 of at least 20 normal windows to evaluate on" in text
    assert "1 isolation-forest 7 trees, 256 samples, int8 scheme rms" in text
    assert not RunFolder(gateway.folder / "state", NIGHTLY).requested()


def test_a_run_is_asked_for(gateway: GatewayFolder) -> None:
    assert asked(gateway, "training", "run", "nightly") == {"training": "nightly", "asked": True}
    assert RunFolder(gateway.folder / "state", NIGHTLY).requested()
    assert "no training named nightl" in error(gateway.tinyfleet("training", "run", "nightl"))


def test_forgetting_a_device_deletes_the_windows_of_a_run_in_progress(gateway: GatewayFolder) -> None:
    folder = RunFolder(gateway.folder / "state", NIGHTLY)
    windows: Snapshot = WINDOWS
    folder.begin(RECORD, windows)
    assert gateway.tinyfleet("knowledge", "forget", "--device", "pump-1", "--yes").exit_code == 0
    assert folder.snapshot(RECORD) is None
