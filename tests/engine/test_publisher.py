# SPDX-License-Identifier: Apache-2.0
"""When a status is committed: at intervals, and at once when a rollout has stopped."""

from __future__ import annotations

from pathlib import Path

from reconciler.engine.state.writer import StateWriter
from reconciler.engine.status.publisher import Publisher
from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.remote_settings import Remote
from reconciler.git.status_writer import AlreadyPublished, Pushed, StatusWriter
from tests.engine.reports import NOON
from tests.git.forge import make_forge

INTERVAL_S = 10.0


def test_an_urgent_file_does_not_wait_for_the_interval(tmp_path: Path, state: StateWriter) -> None:
    forge = make_forge(tmp_path)
    ref = StatusWriter(
        tmp_path / "status.git", Remote(f"file://{forge.bare}"), "north", CommitAuthor("north", "north@example.org")
    )
    publisher = Publisher(ref, state, interval_s=INTERVAL_S)

    def commit(now_s: float) -> None:
        batch = publisher.batch(now_s)
        outcome = publisher.commit(batch, NOON)
        assert isinstance(outcome, Pushed | AlreadyPublished)
        assert publisher.committed(batch, outcome) is None

    with ref:
        publisher.put({"a.yaml": b"1"}, set())
        assert publisher.due_in_s(100.0) == 0.0
        commit(100.0)
        publisher.put({"a.yaml": b"2"}, set())
        assert publisher.due_in_s(101.0) == INTERVAL_S - 1
        publisher.put({"b.yaml": b"stopped"}, set(), urgent=True)
        assert publisher.due_in_s(101.0) == 0.0
        commit(101.0)
        assert publisher.due_in_s(102.0) is None
        publisher.put({"a.yaml": b"3"}, set())  # the urgency is over
        assert publisher.due_in_s(102.0) == INTERVAL_S - 1
