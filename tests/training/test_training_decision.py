# SPDX-License-Identifier: Apache-2.0
"""When a training runs, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model import TrainingProposal, TrainingTrigger
from reconciler.training.decision import RunResult, TrainingFacts, TrainingState, decide
from tests.training.documents import NOON, training

TRAINING = training(when=TrainingTrigger(every_s=3600, new_windows=100))
MERGED = TrainingFacts(RunResult.MERGED, NOON - timedelta(minutes=10), new_windows=100)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"result": RunResult.RUNNING}, TrainingState.RUNNING),
        ({"result": RunResult.KEPT}, TrainingState.PROPOSING),
        ({"result": RunResult.KEPT, "proposed": True}, TrainingState.OPEN),
        ({"result": RunResult.KEPT, "asked": True}, TrainingState.PROPOSING),
        ({}, TrainingState.WAITING),
        ({"began_at": NOON - timedelta(hours=1)}, TrainingState.DUE),
        ({"began_at": None}, TrainingState.DUE),
        ({"began_at": None, "new_windows": 99}, TrainingState.WAITING_FOR_DATA),
        ({"began_at": None, "short": "too few"}, TrainingState.WAITING_FOR_DATA),
        ({"no_successor": True}, TrainingState.DUE),
        ({"no_successor": True, "new_windows": 99}, TrainingState.WAITING_FOR_DATA),
        ({"asked": True, "new_windows": 0}, TrainingState.DUE),
        ({"changed": True, "new_windows": 0}, TrainingState.DUE),
        ({"result": RunResult.MISSED}, TrainingState.WAITING),
        ({"result": RunResult.DECLINED}, TrainingState.WAITING),
    ],
)
def test_a_state_for_each_situation(changes: dict[str, Any], state: TrainingState) -> None:
    assert decide(TRAINING, replace(MERGED, **changes), NOON).state is state


def test_the_end_of_a_wait_is_known() -> None:
    assert decide(TRAINING, MERGED, NOON).until == NOON + timedelta(minutes=50)


def test_the_document_decides() -> None:
    assert decide(replace(TRAINING, suspend=True), MERGED, NOON).state is TrainingState.SUSPENDED
    patient = replace(TRAINING, when=replace(TRAINING.when, on_no_successor=False))
    assert decide(patient, replace(MERGED, no_successor=True), NOON).state is TrainingState.WAITING
    never = replace(TRAINING, propose=TrainingProposal.NEVER)
    assert decide(never, replace(MERGED, result=RunResult.KEPT), NOON).state is TrainingState.WAITING
