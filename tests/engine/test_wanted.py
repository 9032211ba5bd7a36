# SPDX-License-Identifier: Apache-2.0
"""What is enforced when Git goes on, stands still, is wrong or is away, before a restart and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.state.database import StateDatabase
from reconciler.errors import FleetError
from reconciler.git.source import Advanced, Kept, Outcome, Unchanged
from reconciler.load import CheckCache, DirectoryTree
from reconciler.model import Commit
from tests.review.changes import fleet_files, rollout_document

GOOD, BETTER, BAD = Commit("a" * 40), Commit("b" * 40), Commit("c" * 40)
OLD_FORM = Commit("d" * 40)  # free of mistakes by an earlier release, and not by this one


def advanced(commit: Commit) -> Advanced:
    return Advanced(commit, None, (commit,), ())


class Repository:
    """Three commits, and what polling says next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.next: Outcome = Unchanged(GOOD)
        self.rejected: list[tuple[Commit, str]] = []
        for commit in (GOOD, BETTER, BAD, OLD_FORM):
            (folder / commit).mkdir()
            files = fleet_files(devices=2 if commit == BETTER else 1)
            if commit in {BAD, OLD_FORM}:
                files["rollout.yaml"] = rollout_document("9")
            for name, text in files.items():
                (folder / commit / name).write_text(text)

    def poll(self, _applied: Commit | None) -> Outcome:
        return self.next

    @contextmanager
    def tree(self, commit: Commit) -> Iterator[DirectoryTree]:
        yield DirectoryTree(self._folder / commit)

    def reject(self, commit: Commit, why: FleetError) -> None:
        self.rejected.append((commit, str(why)))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def started(repository: Repository, tmp_path: Path) -> Iterator[Callable[[], tuple[DesiredStateSource, StateDatabase]]]:
    opened: list[StateDatabase] = []

    def start() -> tuple[DesiredStateSource, StateDatabase]:
        opened.append(StateDatabase(tmp_path / "state.db"))
        return DesiredStateSource(repository, CheckCache(), opened[-1]), opened[-1]  # type: ignore[arg-type]  # it stands in for a source

    yield start
    for state in opened:
        state.close()


Started = Callable[[], tuple[DesiredStateSource, StateDatabase]]


def test_a_good_commit_is_enforced_and_remembered(repository: Repository, started: Started) -> None:
    wanted, state = started()
    repository.next = advanced(GOOD)
    want = wanted.look()
    assert want.desired is not None
    assert (want.desired.commit, state.applied, want.source.good, want.problems) == (GOOD, GOOD, True, ())
    repository.next = advanced(BETTER)
    want = wanted.look()
    assert want.desired is not None
    assert len(want.desired.devices) == 2


def test_a_commit_with_mistakes_leaves_the_last_good_one_also_after_a_restart(
    repository: Repository, started: Started
) -> None:
    wanted, _ = started()
    repository.next = advanced(GOOD)
    wanted.look()
    again, state = started()
    repository.next = advanced(BAD)
    for each in (wanted, again):
        want = each.look()
        assert want.desired is not None
        assert want.desired.commit == GOOD
        assert len(want.problems) == 1
    assert state.applied == GOOD
    assert repository.rejected == [(BAD, f"commit {BAD[:12]} has 1 mistakes")] * 2


def test_a_first_commit_with_mistakes_leaves_nothing(repository: Repository, started: Started) -> None:
    wanted, state = started()
    repository.next = advanced(BAD)
    want = wanted.look()
    assert (want.desired, state.applied) == (None, None)


@pytest.mark.parametrize(("reason", "told"), [("RemoteUnavailable", "RemoteUnavailable"), ("Invalid", "Fetched")])
def test_what_is_kept_is_enforced_and_says_why(
    repository: Repository, started: Started, reason: str, told: str
) -> None:
    wanted, _ = started()
    repository.next = Kept(None, None, reason, "no answer", transient=True)
    want = wanted.look()
    assert (want.desired, want.source.good, want.source.reason) == (None, told == "Fetched", told)
    repository.next = Kept(GOOD, None, reason, "no answer", transient=True)
    want = wanted.look()
    assert want.desired is not None
    assert want.desired.commit == GOOD


def test_a_person_may_have_accepted_another_commit_meanwhile(repository: Repository, started: Started) -> None:
    wanted, _ = started()
    repository.next = advanced(GOOD)
    wanted.look()
    repository.next = Unchanged(BETTER)
    want = wanted.look()
    assert want.desired is not None
    assert want.desired.commit == BETTER
    assert wanted.look().desired is want.desired  # it is loaded once


def test_a_commit_that_this_release_no_longer_takes_is_told(repository: Repository, started: Started) -> None:
    wanted, _ = started()
    repository.next = Unchanged(OLD_FORM)
    want = wanted.look()
    assert want.desired is None
    assert len(want.problems) == 1
    repository.next = Unchanged(GOOD)
    assert wanted.look().problems == ()
