# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.state.records import DeviceRecord, OrderRecord, QuarantineRecord
from reconciler.engine.state.schema import MIGRATIONS
from reconciler.engine.state.writer import StateUnusable, StateWriter
from reconciler.model import Artifact, Commit, DeviceId, Digest, ModelRef, RolloutId, TypeId, Version

PUMP = DeviceId("pump-1")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEARD = DeviceRecord(PUMP, NOON, b"report", b"capabilities", NOON, {"threshold": 0.7}, 99)
ARTIFACT = Artifact(
    ModelRef("vibration", Version("1.0.0")), TypeId("esp"), Digest("a" * 64), 900, 64, frozenset({"ADD"})
)
FAILURE = QuarantineRecord(PUMP, Digest("b" * 64), "golden vectors", RolloutId("vibration"), "revision")


def filled(path: Path) -> StateWriter:
    state = StateWriter(path)
    state.save_applied(Commit("c1"))
    state.save_device(HEARD)
    state.save_artifact(ARTIFACT, "source")
    state.save_quarantine(FAILURE)
    state.save_order(PUMP, OrderRecord(Digest("a" * 64), 4, b"envelope"))
    state.save_status_files({"README.md": b"old", "devices/pump-1.yaml": b"x"}, set())
    return state


def told(state: StateWriter) -> tuple[object, ...]:
    return (state.applied, state.devices(), state.artifacts(), state.quarantined(), state.order(PUMP), state.status_files())


def test_what_is_kept_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.db"
    state = filled(path)
    before = told(state)
    state.close()
    again = StateWriter(path)
    assert told(again) == before
    assert before[:3] == (Commit("c1"), [HEARD], [(ARTIFACT, "source")])
    assert again.recovered is None
    again.close()


def test_what_was_written_survives_without_a_close(tmp_path: Path) -> None:
    """A killed daemon never closes: the write-ahead log has it all."""
    state = filled(tmp_path / "state.db")
    other = StateWriter(tmp_path / "state.db")
    assert other.applied == "c1"
    other.close()
    state.close()


def test_forgetting_a_device_leaves_nothing_of_it(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.forget(PUMP)
    assert (state.devices(), state.quarantined(), state.order(PUMP)) == ([], [], None)
    state.close()


def test_quarantine_is_released_by_pair(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    assert state.quarantined() == [FAILURE]
    state.release(PUMP, Digest("b" * 64))
    assert state.quarantined() == []
    state.close()


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.save_status_files({"README.md": b"new"}, {"devices/pump-1.yaml"})
    assert state.status_files() == {"README.md": b"new"}
    state.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(damage)
    state = StateWriter(path)
    assert state.recovered
    assert state.devices() == []
    state.close()
    assert (tmp_path / "state.db.damaged").read_bytes() == damage


def test_pages_damaged_in_the_middle_are_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = StateWriter(path)
    with state.transaction():
        for number in range(500):
            state.save_device(DeviceRecord(DeviceId(f"pump-{number:04}"), NOON, b"r" * 100))
    state.close()
    data = bytearray(path.read_bytes())
    data[8192:20480] = b"\x5a" * 12288
    path.write_bytes(data)
    again = StateWriter(path)
    assert again.recovered
    again.close()


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    state = StateWriter(tmp_path / "state.db")

    def half() -> None:
        with state.transaction():
            state.save_device(HEARD)
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        half()
    assert state.devices() == []
    state.close()


def test_a_database_of_a_newer_release_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateWriter(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    db.close()
    state = StateWriter(path)
    assert state.recovered is not None
    assert "newer release" in state.recovered
    state.close()


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateUnusable, match="check the folder"):
        StateWriter(tmp_path / "state.db")
