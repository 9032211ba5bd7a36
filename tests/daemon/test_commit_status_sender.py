# SPDX-License-Identifier: Apache-2.0
"""The outcome of a commit as a status at a forge, taken by a receiver over real HTTP."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.config import CommitStatusConfig
from reconciler.daemon.commit_status_sender import CommitStatusSender, Forge, forge_of
from reconciler.report.commit_outcome import CommitOutcome, CommitState
from tests.daemon.webhook_receiver import Receiver, Taken

COMMIT = "5" * 40
PENDING = CommitOutcome(COMMIT, CommitState.PENDING, "wear: wave 1 of 3\n of <all>")
SUCCESS = CommitOutcome(COMMIT, CommitState.SUCCESS, "1 rollout complete")
FAILURE = CommitOutcome(COMMIT, CommitState.FAILURE, "x" * 300)


class Clock:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def forge(url: str, kind: str = "github", repository: str = "plant/fleet") -> Forge:
    return Forge(kind, url.removesuffix("/hook"), repository, "a-token", 5.0)


def taken(kind: str, *outcomes: CommitOutcome, repository: str = "plant/fleet") -> list[Taken]:
    """Send outcomes one after the other, and return what arrived."""
    receiver = Receiver(answers=[201] * len(outcomes))
    with receiver.served() as url:
        sender = CommitStatusSender("hall", forge(url, kind, repository), Clock())
        for each in outcomes:
            asyncio.run(sender.check([each]))
    return [receiver.taken.get_nowait() for _ in range(receiver.taken.qsize())]


def test_github() -> None:
    (got,) = taken("github", PENDING)
    assert (got.method, got.path) == ("POST", f"/repos/plant/fleet/statuses/{COMMIT}")
    assert got.document == {
        "state": "pending",
        "context": "tinyfleet/hall",
        "description": "wear: wave 1 of 3 of <all>",
    }
    assert got.headers["Authorization"] == "Bearer a-token"
    assert got.headers["Accept"] == "application/vnd.github+json"
    assert got.headers["X-Github-Api-Version"] == "2022-11-28"


def test_gitea() -> None:
    (got,) = taken("gitea", FAILURE)
    assert (got.method, got.path) == ("POST", f"/repos/plant/fleet/statuses/{COMMIT}")
    assert got.document["state"] == "failure"
    assert got.headers["Authorization"] == "token a-token"


def test_gitlab_has_a_path_in_one_piece_and_a_word_of_its_own() -> None:
    (got,) = taken("gitlab", FAILURE, repository="plant/sub/fleet")
    assert (got.method, got.path) == ("POST", f"/projects/plant%2Fsub%2Ffleet/statuses/{COMMIT}")
    assert got.document.keys() == {"state", "name", "description"}
    assert (got.document["state"], got.document["name"]) == ("failed", "tinyfleet/hall")
    assert got.headers["Private-Token"] == "a-token"


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea"])
def test_a_description_has_one_short_line(kind: str) -> None:
    (got,) = taken(kind, FAILURE)
    assert got.document["description"] == "x" * 139 + "…"


def test_only_a_new_commit_or_state_is_sent() -> None:
    progress = replace(PENDING, description="wear: wave 2 of 3")
    next_commit = replace(PENDING, commit="6" * 40)
    got = taken("github", PENDING, progress, SUCCESS, SUCCESS, FAILURE, SUCCESS, next_commit)
    states = [each.document["state"] for each in got]
    assert states == ["pending", "success", "failure", "success", "pending"]
    assert got[-1].path.endswith("6" * 40)


def attempts(answers: list[int], times_s: list[float], *outcomes: CommitOutcome) -> list[int]:
    """Return how many requests had arrived after the check at each of these times."""
    receiver, clock, counts = Receiver(answers=answers), Clock(), []
    with receiver.served() as url:
        sender = CommitStatusSender("hall", forge(url), clock)
        for clock.now_s in times_s:
            asyncio.run(sender.check(list(outcomes)))
            counts.append(receiver.taken.qsize())
    return counts


def test_refused_statuses_are_retried_with_growing_delays() -> None:
    assert attempts([500, 401, 201], [0.0, 1.9, 2.0, 5.9, 6.0, 99.0], PENDING) == [1, 1, 2, 2, 3, 3]


def test_two_refused_statuses_do_not_hasten_each_other() -> None:
    rejected = replace(FAILURE, commit="7" * 40)
    assert attempts([500] * 4, [0.0, 0.5, 1.0, 1.9, 2.0], PENDING, rejected) == [2, 2, 2, 2, 4]


def test_what_a_forge_will_never_take_is_sent_once() -> None:
    """GitLab answers 400 to a state that the commit has already, after a restart of the daemon for example."""
    assert attempts([400], [0.0, 10.0, 1000.0], PENDING) == [1, 1, 1]


def test_a_newer_outcome_replaces_one_that_waits() -> None:
    receiver, clock = Receiver(answers=[500, 201]), Clock()
    with receiver.served() as url:
        sender = CommitStatusSender("hall", forge(url), clock)
        asyncio.run(sender.check([PENDING]))
        asyncio.run(sender.check([SUCCESS]))
        clock.now_s = 1000.0
        asyncio.run(sender.check([SUCCESS]))
    assert [receiver.taken.get_nowait().document["state"] for _ in range(2)] == ["pending", "success"]
    assert receiver.taken.empty()


def test_the_log_has_no_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        attempts([500, 201], [0.0, 2.0], PENDING)
    assert "status pending of commit 555555555555" in caplog.text
    assert "a-token" not in caplog.text


def test_the_token_comes_from_a_private_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token\n")
    settings = CommitStatusConfig("gitea", "https://git.example.org/api/v1", "plant/fleet", token)
    assert forge_of(settings).token == "a-token"  # noqa: S105 - of this test alone
