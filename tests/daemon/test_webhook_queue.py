# SPDX-License-Identifier: Apache-2.0
"""A damaged event queue is set aside. tests/daemon/test_webhook.py tests the delivery of events."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from reconciler.daemon.webhook_queue import EventQueue
from reconciler.model import RolloutId
from reconciler.report.rollout_events import EventKind, FleetEvent

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
OLD = FleetEvent(EventKind.COMPLETE, "hall", RolloutId("wear"), "wear@1", "revision", "c0ffee", "complete", NOON)
NEW = FleetEvent(EventKind.STOPPED, "hall", RolloutId("sound"), "sound@2", "revision", "c0ffee", "stopped", NOON)


def test_after_damage_only_new_events_are_sent(tmp_path: Path) -> None:
    """What was true before counts as sent, as in a new queue: it is better to miss an event than to repeat them all."""
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database at all" * 100)
    with closing(EventQueue(path)) as queue:
        queue.put([OLD], 0.0)
        queue.put([OLD, NEW], 1.0)
        assert [event.key for event in queue.due(2.0)] == [NEW.key]
    assert path.with_name("events.db.damaged").exists()
