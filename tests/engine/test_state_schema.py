# SPDX-License-Identifier: Apache-2.0
"""The tables of the state database."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from reconciler.engine.state import schema


def test_every_table_that_names_a_device_is_cleared_when_a_device_is_forgotten() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.prepare(db)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: {column[1] for column in db.execute(f"PRAGMA table_info({name})")} for name in tables}
    assert {name for name in tables if "device" in columns[name]} == set(schema.OF_A_DEVICE)
