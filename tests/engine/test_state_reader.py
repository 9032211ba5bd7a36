# SPDX-License-Identifier: Apache-2.0
"""A state database can be read while a daemon writes it and without one, and reading leaves no trace."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.engine.state.reader import NoRecordedState, read_state
from reconciler.engine.state.writer import StateWriter
from reconciler.model import DeviceId
from tests.engine.reports import PUMP
from tests.engine.test_state_writer import DEVICE, FAILURE, ORDER, SAVED, contents, filled


def test_it_reads_while_a_daemon_writes(tmp_path: Path) -> None:
    writer = filled(tmp_path / "state.db")
    with read_state(tmp_path / "state.db", daemon_runs=True) as state:
        assert contents(state) == SAVED
    writer.close()


def test_without_a_daemon_it_leaves_no_trace(tmp_path: Path) -> None:
    filled(tmp_path / "state.db").close()
    before = sorted(tmp_path.iterdir())
    with read_state(tmp_path / "state.db", daemon_runs=False) as state:
        assert contents(state) == SAVED
        assert sorted(tmp_path.iterdir()) == before
    assert sorted(tmp_path.iterdir()) == before


def test_it_reads_what_a_killed_daemon_left_in_the_log(tmp_path: Path) -> None:
    writer = filled(tmp_path / "state.db")
    with read_state(tmp_path / "state.db", daemon_runs=False) as state:
        assert contents(state) == SAVED
    writer.close()


def test_one_device_or_one_file_can_be_read_alone(tmp_path: Path) -> None:
    filled(tmp_path / "state.db").close()
    other = DeviceId("pump-2")
    with read_state(tmp_path / "state.db", daemon_runs=False) as state:
        assert (state.device(PUMP), state.order(PUMP), state.quarantined_on(PUMP)) == (DEVICE, ORDER, [FAILURE])
        assert (state.device(other), state.order(other), state.quarantined_on(other)) == (None, None, [])
        assert (state.status_file("README.md"), state.status_file("devices")) == (b"old", None)
        assert state.status_files("devices/") == {"devices/pump-1.yaml": b"x"}


def test_a_copy_is_a_whole_database(tmp_path: Path) -> None:
    writer = filled(tmp_path / "state.db")
    with read_state(tmp_path / "state.db", daemon_runs=True) as state:
        state.copy_to(tmp_path / "copy.db")
    writer.close()
    copy = StateWriter(tmp_path / "copy.db")
    assert contents(copy) == SAVED
    copy.close()


def test_a_file_that_is_missing_damaged_or_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    def read() -> None:
        with read_state(path, daemon_runs=False) as state:
            state.devices()

    with pytest.raises(NoRecordedState, match="does not exist"):
        read()
    StateWriter(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(NoRecordedState, match="has version 99; this release reads"):
        read()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(NoRecordedState, match="are you allowed to read it"):
        read()
