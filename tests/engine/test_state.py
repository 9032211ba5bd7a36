# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.state.database import MIGRATIONS, Delivery, DeviceRecord, Failure, StateDatabase, StateUnusable
from reconciler.model import Artifact, Commit, DeviceId, Digest, ModelRef, RolloutId, TypeId, Version

PUMP = DeviceId("pump-1")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEARD = DeviceRecord(PUMP, NOON, b"report", b"capabilities", NOON, {"threshold": 0.7}, 99)
ARTIFACT = Artifact(
    ModelRef("vibration", Version("1.0.0")), TypeId("esp"), Digest("a" * 64), 900, 64, frozenset({"ADD"})
)
FAILURE = Failure(PUMP, Digest("b" * 64), "golden vectors", RolloutId("vibration"), "revision")


def filled(path: Path) -> StateDatabase:
    state = StateDatabase(path)
    state.applied = Commit("c1")
    state.hear(HEARD)
    state.built(ARTIFACT, "source")
    state.quarantine(FAILURE)
    state.sending(PUMP, Delivery(Digest("a" * 64), 4, b"envelope"))
    state.write_status({"README.md": b"old", "devices/pump-1.yaml": b"x"}, set())
    return state


def told(state: StateDatabase) -> tuple[object, ...]:
    return (state.applied, state.heard(), state.artifacts(), state.quarantined(), state.delivery(PUMP), state.status())


def test_what_is_kept_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.db"
    state = filled(path)
    before = told(state)
    state.close()
    again = StateDatabase(path)
    assert told(again) == before
    assert before[:3] == (Commit("c1"), [HEARD], [(ARTIFACT, "source")])
    assert again.recovered is None
    again.close()


def test_what_was_written_survives_without_a_close(tmp_path: Path) -> None:
    """A killed daemon never closes: the write-ahead log has it all."""
    state = filled(tmp_path / "state.db")
    other = StateDatabase(tmp_path / "state.db")
    assert other.applied == "c1"
    other.close()
    state.close()


def test_forgetting_a_device_leaves_nothing_of_it(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.forget(PUMP)
    assert (state.heard(), state.quarantined(), state.delivery(PUMP)) == ([], [], None)
    state.close()


def test_quarantine_is_released_by_pair(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    assert state.quarantined() == [FAILURE]
    state.release(PUMP, Digest("b" * 64))
    assert state.quarantined() == []
    state.close()


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.write_status({"README.md": b"new"}, {"devices/pump-1.yaml"})
    assert state.status() == {"README.md": b"new"}
    state.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(damage)
    state = StateDatabase(path)
    assert state.recovered
    assert state.heard() == []
    state.close()
    assert (tmp_path / "state.db.damaged").read_bytes() == damage


def test_pages_damaged_in_the_middle_are_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = StateDatabase(path)
    with state.together():
        for number in range(500):
            state.hear(DeviceRecord(DeviceId(f"pump-{number:04}"), NOON, b"r" * 100))
    state.close()
    data = bytearray(path.read_bytes())
    data[8192:20480] = b"\x5a" * 12288
    path.write_bytes(data)
    again = StateDatabase(path)
    assert again.recovered
    again.close()


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.db")

    def half() -> None:
        with state.together():
            state.hear(HEARD)
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        half()
    assert state.heard() == []
    state.close()


def test_a_database_of_a_newer_release_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateDatabase(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    db.close()
    state = StateDatabase(path)
    assert state.recovered is not None
    assert "newer release" in state.recovered
    state.close()


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateUnusable, match="check the folder"):
        StateDatabase(tmp_path / "state.db")
