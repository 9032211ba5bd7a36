# SPDX-License-Identifier: Apache-2.0
"""What is saved survives restarts and kills; a damaged file is set aside."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from reconciler.engine.state import schema
from reconciler.engine.state.reader import StateReader
from reconciler.engine.state.records import (
    BaselineRecord,
    DeviceRecord,
    EvidenceRecord,
    FlappingRecord,
    IdentityRecord,
    OrderRecord,
    QuarantineRecord,
    SummaryRecord,
)
from reconciler.engine.state.writer import StateUnusable, StateWriter
from reconciler.model import (
    Artifact,
    Before,
    Commit,
    DeviceId,
    Digest,
    ModelRef,
    RolloutId,
    RolloutMemory,
    TypeId,
    Version,
)
from tests.engine.reports import CAPABILITIES, NOON, PUMP, report

APPLIED = Commit("c1")
DEVICE = DeviceRecord(PUMP, NOON, report(7, 4), CAPABILITIES, NOON, {"threshold": 0.7}, 99)
ARTIFACT = Artifact(
    ModelRef("vibration", Version("1.0.0")), TypeId("esp"), Digest("a" * 64), 900, 64, frozenset({"ADD"})
)
FAILURE = QuarantineRecord(PUMP, Digest("b" * 64), "golden vectors", RolloutId("vibration"), "revision")
ORDER = OrderRecord(Digest("a" * 64), 4, b"envelope")
IDENTITY = IdentityRecord(PUMP, "aa" * 32, 5, 9, 7, 1)
EVIDENCE = EvidenceRecord("cc" * 16, NOON.timestamp(), b"summary", 12.5)
BASELINE = BaselineRecord(Before("revision", Digest("dd" * 16), {"threshold": 1}), None, 0.0)
FLAPPING = FlappingRecord(3, NOON)
MEMORY = RolloutMemory("revision", "stopped: 1 failed, 0 allowed", NOON, None)
STATUS_FILES = {"README.md": b"old", "devices/pump-1.yaml": b"x"}


def filled(path: Path) -> StateWriter:
    state = StateWriter(path)
    state.save_applied(APPLIED)
    state.save_devices([DEVICE])
    state.save_artifact(ARTIFACT, "source")
    state.save_quarantine(FAILURE)
    state.save_order(PUMP, ORDER)
    state.save_identities([IDENTITY])
    state.save_summary(PUMP, "cc" * 16, b"summary", NOON)
    state.save_evidence(PUMP, EVIDENCE)
    state.save_baseline(PUMP, BASELINE)
    state.save_flapping(PUMP, FLAPPING)
    state.replace_rollout_memories({RolloutId("vibration"): MEMORY})
    state.save_status_files(STATUS_FILES, set())
    return state


def contents(state: StateReader) -> tuple[object, ...]:
    return (
        state.applied,
        state.devices(),
        state.artifacts(),
        state.quarantined(),
        state.order(PUMP),
        state.identities(),
        state.summaries(),
        state.evidence(),
        state.baselines(),
        state.flapping(),
        state.rollout_memories(),
        state.status_files(),
    )


SAVED = (
    APPLIED,
    [DEVICE],
    [(ARTIFACT, "source")],
    [FAILURE],
    ORDER,
    [IDENTITY],
    [SummaryRecord(PUMP, "cc" * 16, b"summary", NOON)],
    {PUMP: EVIDENCE},
    {PUMP: BASELINE},
    {PUMP: FLAPPING},
    {RolloutId("vibration"): MEMORY},
    STATUS_FILES,
)


def test_what_is_saved_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.db"
    filled(path).close()
    restarted = StateWriter(path)
    assert contents(restarted) == SAVED
    assert restarted.recovered is None
    restarted.close()


def test_what_is_saved_survives_without_a_close(tmp_path: Path) -> None:
    """A daemon that is killed never closes the file: the write-ahead log has it all."""
    state = filled(tmp_path / "state.db")
    other = StateWriter(tmp_path / "state.db")
    assert contents(other) == SAVED
    other.close()
    state.close()


def test_forgetting_a_device_leaves_nothing_of_it(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.forget_device(PUMP)
    kept = (APPLIED, [(ARTIFACT, "source")], {RolloutId("vibration"): MEMORY}, STATUS_FILES)
    assert contents(state) == (kept[0], [], kept[1], [], None, [], [], {}, {}, {}, kept[2], kept[3])
    state.close()


def test_quarantine_is_released_by_device_and_pack(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.release(DeviceId("pump-2"), FAILURE.digest)
    assert state.quarantined_on(PUMP) == [FAILURE]
    state.release(PUMP, FAILURE.digest)
    assert state.quarantined() == []
    state.close()


def test_rollouts_are_remembered_as_a_whole(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.replace_rollout_memories({})
    assert state.rollout_memories() == {}
    state.close()


def test_status_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    state = filled(tmp_path / "state.db")
    state.save_status_files({"README.md": b"new"}, {"devices/pump-1.yaml"})
    assert state.status_files() == {"README.md": b"new"}
    state.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(damage)
    state = StateWriter(path)
    assert state.recovered
    assert state.devices() == []
    state.close()
    assert (tmp_path / "state.db.damaged").read_bytes() == damage


def test_damaged_pages_in_the_middle_are_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = StateWriter(path)
    with state.transaction():
        state.save_devices(DeviceRecord(DeviceId(f"pump-{number:04}"), NOON, report(number)) for number in range(500))
    state.close()
    data = bytearray(path.read_bytes())
    data[8192:20480] = b"\x5a" * 12288
    path.write_bytes(data)
    reopened = StateWriter(path)
    assert reopened.recovered
    reopened.close()


def test_a_transaction_is_all_or_nothing(state: StateWriter) -> None:
    def interrupted() -> None:
        with state.transaction():
            state.save_devices([DEVICE])
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    assert state.devices() == []


def test_a_database_of_a_newer_release_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateWriter(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={len(schema.MIGRATIONS) + 1}")
    db.close()
    state = StateWriter(path)
    assert state.recovered is not None
    assert "newer release" in state.recovered
    state.close()


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateUnusable, match="check the folder"):
        StateWriter(tmp_path / "state.db")
