# SPDX-License-Identifier: Apache-2.0
"""What is enforced when Git advances, stands still, is wrong or is unreachable, before a restart and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import FleetError
from reconciler.git.errors import TransferTooLarge
from reconciler.git.source import Advanced, Kept, PollResult, Unchanged
from reconciler.load import CheckCache, DirectoryTree
from reconciler.model import Commit
from tests.review.changes import fleet_files, rollout_document

GOOD, BETTER, BAD = Commit("a" * 40), Commit("b" * 40), Commit("c" * 40)
ENDLESS = Commit("e" * 40)
NO_LONGER_VALID = Commit("d" * 40)  # valid for an earlier release, and not for this one


def advanced(commit: Commit) -> Advanced:
    return Advanced(commit, None, (commit,), ())


class ScriptedRepository:
    """Four commits, and the outcome of the next poll."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.next: PollResult = Unchanged(GOOD)
        self.rejected: list[tuple[Commit, str]] = []
        for commit in (GOOD, BETTER, BAD, NO_LONGER_VALID):
            (folder / commit).mkdir()
            files = fleet_files(devices=2 if commit == BETTER else 1)
            if commit in {BAD, NO_LONGER_VALID}:
                files["rollout.yaml"] = rollout_document("9")
            for name, text in files.items():
                (folder / commit / name).write_text(text)

    def poll(self, _applied: Commit | None) -> PollResult:
        return self.next

    @contextmanager
    def tree(self, commit: Commit) -> Iterator[DirectoryTree]:
        if commit == ENDLESS:
            raise TransferTooLarge("more files than a gateway can list")
        yield DirectoryTree(self._folder / commit)

    def reject(self, commit: Commit, why: FleetError) -> None:
        self.rejected.append((commit, str(why)))


@pytest.fixture
def repository(tmp_path: Path) -> ScriptedRepository:
    return ScriptedRepository(tmp_path)


Start = Callable[[], tuple[DesiredStateSource, StateWriter]]


@pytest.fixture
def start(repository: ScriptedRepository, tmp_path: Path) -> Iterator[Start]:
    """Start a source, as each start of a daemon does."""
    opened: list[StateWriter] = []

    def started() -> tuple[DesiredStateSource, StateWriter]:
        opened.append(StateWriter(tmp_path / "state.db"))
        return DesiredStateSource(repository, CheckCache(), opened[-1]), opened[-1]  # type: ignore[arg-type]  # it replaces a commit source

    yield started
    for state in opened:
        state.close()


def test_a_valid_commit_is_enforced_and_remembered(repository: ScriptedRepository, start: Start) -> None:
    source, state = start()
    repository.next = advanced(GOOD)
    found = source.poll()
    assert found.desired is not None
    assert (found.desired.commit, state.applied, found.source.good, found.problems) == (GOOD, GOOD, True, ())
    repository.next = advanced(BETTER)
    found = source.poll()
    assert found.desired is not None
    assert len(found.desired.devices) == 2


def test_with_an_invalid_commit_the_last_valid_one_stays_even_after_a_restart(
    repository: ScriptedRepository, start: Start
) -> None:
    source, _ = start()
    repository.next = advanced(GOOD)
    source.poll()
    restarted, state = start()
    repository.next = advanced(BAD)
    for each in (source, restarted):
        found = each.poll()
        assert found.desired is not None
        assert found.desired.commit == GOOD
        assert len(found.problems) == 1
    assert state.applied == GOOD
    assert repository.rejected == [(BAD, f"commit {BAD[:12]} has 1 mistakes")] * 2


def test_with_an_invalid_first_commit_nothing_is_enforced(repository: ScriptedRepository, start: Start) -> None:
    source, state = start()
    repository.next = advanced(BAD)
    found = source.poll()
    assert (found.desired, state.applied) == (None, None)


@pytest.mark.parametrize(("reason", "shown"), [("RemoteUnavailable", "RemoteUnavailable"), ("Invalid", "Fetched")])
def test_a_kept_commit_is_enforced_with_the_reason_why(
    repository: ScriptedRepository, start: Start, reason: str, shown: str
) -> None:
    source, _ = start()
    repository.next = Kept(None, None, reason, "no answer", transient=True)
    found = source.poll()
    assert (found.desired, found.source.good, found.source.reason) == (None, shown == "Fetched", shown)
    repository.next = Kept(GOOD, None, reason, "no answer", transient=True)
    found = source.poll()
    assert found.desired is not None
    assert found.desired.commit == GOOD


def test_another_commit_that_an_operator_accepted_is_loaded_once(repository: ScriptedRepository, start: Start) -> None:
    source, _ = start()
    repository.next = advanced(GOOD)
    source.poll()
    repository.next = Unchanged(BETTER)
    found = source.poll()
    assert found.desired is not None
    assert found.desired.commit == BETTER
    assert source.poll().desired is found.desired


def test_an_enforced_commit_that_is_no_longer_valid_has_its_problems_reported(
    repository: ScriptedRepository, start: Start
) -> None:
    source, _ = start()
    repository.next = Unchanged(NO_LONGER_VALID)
    found = source.poll()
    assert found.desired is None
    assert len(found.problems) == 1
    repository.next = Unchanged(GOOD)
    assert source.poll().problems == ()


def test_a_commit_that_is_too_large_to_list_is_rejected_and_the_good_one_stays(
    repository: ScriptedRepository, start: Start
) -> None:
    source, _ = start()
    repository.next = advanced(GOOD)
    source.poll()
    repository.next = advanced(ENDLESS)
    state = source.poll()
    assert state.desired is not None
    assert state.desired.commit == GOOD
    assert (state.source.good, state.source.reason) == (False, "TransferTooLarge")
    assert [commit for commit, _ in repository.rejected] == [ENDLESS]
