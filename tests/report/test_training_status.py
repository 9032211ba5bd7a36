# SPDX-License-Identifier: Apache-2.0
"""The condition of a training for each state, and that counts alone change no status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model import Commit, ContestId, TrainingId, TrainingProposal
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.training_figures import TrainedFigures, TrainingFigures
from reconciler.report.training_status import (
    InvalidTrainingStatus,
    TrainingReport,
    read_training_file,
    training_file,
    training_status,
)
from reconciler.report.training_table import training_section
from reconciler.training.decision import RunResult, TrainingState
from reconciler.training.selection import RowCounts
from tests.training.documents import NOON

MADE_OF = {"method": "isolation-forest", "trees": 20, "features": ["rms"]}
BEST = TrainedFigures("forest@20261129-01234567", 7, 1.2, 1.0, 97.5, 0.61, 1834, MADE_OF)
FIGURES = TrainingFigures(
    TrainingId("nightly"), ContestId("pumps"), "forest", "false-alarms-per-day", "Waiting", "Merged",
    NOON, NOON + timedelta(days=7), 40, 40, 1, 12, 5000, RowCounts(800, 0, 400, 12), (BEST,),
)  # fmt: skip
REPORT = TrainingReport(FIGURES, TrainingProposal.BRANCH, "propose/north/training_nightly")
STAMP = PassStamp(NOON, Commit("a" * 40))
TRUE, FALSE, UNKNOWN = Status.TRUE, Status.FALSE, Status.UNKNOWN


def report(state: TrainingState, result: RunResult = RunResult.KEPT, **changes: Any) -> TrainingReport:  # noqa: ANN401
    figures = replace(FIGURES, state=state.value, result=result.value, until=None, **changes.pop("figures", {}))
    return replace(REPORT, figures=figures, **changes)


@pytest.mark.parametrize(
    ("made", "status", "reason", "words"),
    [
        (report(TrainingState.SUSPENDED), UNKNOWN, "Suspended", "suspended"),
        (report(TrainingState.RUNNING), UNKNOWN, "Training", "40 trials run for forest."),
        (report(TrainingState.RUNNING, tools_missing="install x"), FALSE, "ToolsMissing", "install x"),
        (report(TrainingState.OPEN), TRUE, "Open", "training_nightly proposes forest@20261129-01234567."),
        (report(TrainingState.PROPOSING), FALSE, "Proposing", "forest@20261129-01234567 is about"),
        (report(TrainingState.PROPOSING, not_pushed="no route"), FALSE, "NotPushed", "no route"),
        (report(TrainingState.WAITING_FOR_DATA, RunResult.NONE), FALSE, "WaitingForData", "12 of 5,000 new windows"),
        (report(TrainingState.WAITING_FOR_DATA, RunResult.NONE, short="no pump"), FALSE, "WaitingForData", "; no pump"),
        (report(TrainingState.WAITING, RunResult.MISSED), FALSE, "ObjectiveMissed", "finds 97.5 % of the anomalies"),
        (
            report(TrainingState.WAITING, RunResult.MISSED, figures={"best": ()}),
            FALSE,
            "ObjectiveMissed",
            "no trial of 40",
        ),
        (report(TrainingState.WAITING, RunResult.FAILED, failure="bad"), FALSE, "TrainingFailed", "trials failed: bad"),
        (report(TrainingState.WAITING, RunResult.DECLINED), FALSE, "ModelsDeclined", "forest@20261129-01234567"),
        (report(TrainingState.WAITING_FOR_DATA, RunResult.MERGED), TRUE, "Merged", "waits for 12 of 5,000"),
        (REPORT, TRUE, "Merged", "not before 2026-12-06 12:00 UTC"),
        (report(TrainingState.WAITING, mode=TrainingProposal.NEVER), FALSE, "ProposeNever", "propose: never"),
    ],
)  # fmt: skip
def test_each_state_has_a_condition(made: TrainingReport, status: Status, reason: str, words: str) -> None:
    found = training_status(made, STAMP, None)
    condition = found.conditions[1]
    assert (condition.type, condition.status, condition.reason) == ("Trained", status, reason)
    assert words in condition.message
    assert (found.ready.type, found.ready.status) == ("Ready", status)
    assert read_training_file(training_file(found)) == found


def test_counts_alone_change_no_status_and_a_state_does() -> None:
    first = training_status(REPORT, STAMP, None)
    later = PassStamp(NOON + timedelta(hours=1), Commit("b" * 40))
    busy = replace(REPORT, figures=replace(FIGURES, new_windows=4000, done=3))
    assert training_status(busy, later, first) is first
    other = replace(REPORT, figures=replace(FIGURES, state="WaitingForData", until=None))
    changed = training_status(other, later, first)
    assert changed is not first
    assert changed.ready.since == NOON  # it was True before, too


@pytest.mark.parametrize("text", ["", "kind: ContestStatus\n", "kind: TrainingStatus\n", "[", "- 1\n"])
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(InvalidTrainingStatus):
        read_training_file(text.encode())


def test_the_readme_has_a_row_for_each_training() -> None:
    status = training_status(report(TrainingState.PROPOSING, not_pushed="a|b"), STAMP, None)
    lines = training_section([status])
    assert lines[0] == "## Trainings"
    assert lines[4].startswith("| nightly | forest | Proposing | 2026-11-29 12:00 | ")
    assert "a\\|b" in lines[4]
    assert training_section([]) == []


def test_what_a_model_is_made_of_is_one_line() -> None:
    assert BEST.text == "isolation-forest, 20 trees, of rms"
