# SPDX-License-Identifier: Apache-2.0
"""What is kept of a training: complete or absent, for its owner alone, and no longer than it is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder, RunRecord, forget_all_windows
from reconciler.model import TrainingId
from reconciler.training.decision import RunResult
from reconciler.training.objective import Exposure, TrialScore
from reconciler.training.selection import RowCounts
from reconciler.training.trials import draw_trials
from tests.training.documents import NOON, TRAINING, snapshot

WINDOWS = snapshot()
RECORD = RunRecord(
    "ab" * 32, "cd" * 32, WINDOWS.sha256, NOON, NOON, 132, 6, RowCounts(80, 0, 40, 12), Exposure(400, 0.03, 12),
    RunResult.RUNNING,
)  # fmt: skip
SCORE = TrialScore(0.61, 1.5, 1.0, 95.0, 4, reached=True)


def outcome(number: int, pack: bytes = b"pack") -> TrialOutcome:
    return TrialOutcome(draw_trials(TRAINING)[number - 1], SCORE, pack, {"trees": 5})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, TRAINING.name)
    made.begin(RECORD, WINDOWS)
    return made


def test_a_run_is_read_as_it_was_kept(folder: RunFolder) -> None:
    assert folder.record() == RECORD
    assert folder.snapshot(RECORD) == WINDOWS.encoded
    for number in (2, 1):
        folder.add(outcome(number))
    folder.add(failed := TrialOutcome(draw_trials(TRAINING)[4], None, error="no"))
    assert folder.outcomes() == {1: outcome(1), 2: outcome(2), 5: failed}


def test_only_the_owner_can_read_the_windows_and_they_go_with_the_run(folder: RunFolder) -> None:
    windows = folder.path / "snapshot"
    assert windows.stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700
    for number in (1, 2):
        folder.add(outcome(number))
    folder.end(replace(RECORD, result=RunResult.KEPT), frozenset({2}))
    assert not windows.exists()
    assert {number: each.pack for number, each in folder.outcomes().items() if each.pack} == {2: b"pack"}
    assert [(number, each.score, each.pack) for number, each in folder.outcomes(ended=True).items()] == [
        (1, SCORE, b""),
        (2, SCORE, b"pack"),
    ]
    other = RunFolder(folder.path.parents[1], TrainingId("other"))
    other.begin(RECORD, WINDOWS)
    forget_all_windows(folder.path.parents[1])
    assert other.snapshot(RECORD) is None
    assert other.record() == RECORD


def test_a_new_run_replaces_the_one_before(folder: RunFolder) -> None:
    folder.add(outcome(1))
    folder.begin(later := replace(RECORD, digest="ef" * 32), WINDOWS)
    assert (folder.record(), folder.outcomes()) == (later, {})


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"digest": 1}', b"\xff"])
def test_a_record_that_cannot_be_read_is_no_record(folder: RunFolder, damage: bytes) -> None:
    (folder.path / "run.json").write_bytes(damage)
    assert folder.record() is None


def test_damaged_windows_are_none(folder: RunFolder) -> None:
    (folder.path / "snapshot").write_bytes(WINDOWS.encoded[:-1])
    assert folder.snapshot(RECORD) is None


def test_a_request_stays_until_it_is_met(folder: RunFolder, tmp_path: Path) -> None:
    assert not folder.requested()
    folder.request()
    assert RunFolder(tmp_path, TRAINING.name).requested()
    folder.begin(RECORD, WINDOWS)
    assert not folder.requested()


def test_a_run_that_is_discarded_leaves_nothing_but_the_request_for_another(folder: RunFolder) -> None:
    folder.add(outcome(1))
    folder.discard()
    assert (folder.record(), folder.outcomes(), folder.requested()) == (None, {}, True)
