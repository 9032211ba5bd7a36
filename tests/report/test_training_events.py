# SPDX-License-Identifier: Apache-2.0
"""People hear of trained models that wait for them, and of runs that came to nothing: once for each run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import RolloutId
from reconciler.report.rollout_events import EventKind
from reconciler.report.training_events import training_events
from reconciler.report.training_status import training_status
from reconciler.training.decision import RunResult, TrainingState
from tests.report.test_training_status import FIGURES, REPORT, STAMP

ROLLOUT = RolloutId("everywhere")


@pytest.mark.parametrize(
    ("state", "result", "kind"),
    [
        (TrainingState.OPEN, RunResult.KEPT, EventKind.TRAINED),
        (TrainingState.WAITING, RunResult.MISSED, EventKind.NOT_TRAINED),
        (TrainingState.WAITING, RunResult.FAILED, EventKind.NOT_TRAINED),
        (TrainingState.WAITING, RunResult.MERGED, None),
        (TrainingState.RUNNING, RunResult.RUNNING, None),
    ],
)
def test_what_people_hear_of(state: TrainingState, result: RunResult, kind: EventKind | None) -> None:
    figures = replace(FIGURES, state=state.value, result=result.value)
    status = training_status(replace(REPORT, figures=figures), STAMP, None)
    found = training_events("hall", [status], {FIGURES.contest: ROLLOUT})
    assert [each.event for each in found] == ([kind] if kind else [])
    for event in found:
        assert event.as_dict()["training"] == FIGURES.training
        assert (event.rollout, event.contest, event.message) == (ROLLOUT, FIGURES.contest, status.ready.message)
        assert event.key.startswith(f"trainings/{FIGURES.training}/")
        (again,) = training_events("hall", [status], {})
        assert again.key == event.key
