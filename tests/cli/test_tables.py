# SPDX-License-Identifier: Apache-2.0
"""Tables fit a narrow terminal without losing a word, and elsewhere keep each row on one line."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli import cli
from reconciler.cli.terminal import UNLIMITED
from reconciler.cli.views.table import table
from reconciler.model import Blocked, BlockedReason, DeviceId, NoChange, RolloutId
from tests.cli.gateway_folder import GatewayFolder, gateway_folder
from tests.cli.pseudo_terminal import on_terminal, unstyled
from tests.compiler.make_vectors import good_packs
from tests.review.changes import FleetHistory, device_status_file, fleet_files, fleet_history
from tests.review.test_rollout_command import rollout_status_file

NARROW = 60
PROSE = ("Gateway ", "pump-1: ", "the daemon", "reported by ", "No observed ", "Plan ", "ends in ", "wave ", "  wear: ")
WORD = st.text(st.characters(codec="utf-8", categories=("L", "N")), max_size=20)
CELL = st.lists(WORD, max_size=8).map(" ".join).map(str.strip)
LONG = "the link has been silent since noon, and the device has not answered the last six questions"


@given(st.integers(2, 5).flatmap(lambda size: st.lists(st.tuples(*[CELL] * size), min_size=1, max_size=5)))
def test_a_table_fits_any_width_and_loses_nothing(rows: list[tuple[str, ...]]) -> None:
    headings = [f"h{index}" for index in range(len(rows[0]))]
    for width in (12, 30, NARROW, UNLIMITED):
        lines = table(headings, rows, width)
        assert max(line.cell_len for line in lines) <= width
        given = Counter(letter for row in rows for cell in row for letter in cell if letter != " ")
        assert given <= Counter(letter for line in lines for letter in line.plain)
    assert len(table(headings, rows, UNLIMITED)) == len(rows) + 1


def test_the_layouts() -> None:
    rows = [("pump-1", "ok", "short"), ("pump-2", "bad", "one two three four five six seven")]

    def drawn(width: int) -> list[str]:
        return [line.plain for line in table(("device", "state", "message"), rows, width)]

    assert drawn(80) == [
        "DEVICE  STATE  MESSAGE",
        "pump-1  ok     short",
        "pump-2  bad    one two three four five six seven",
    ]
    assert drawn(40)[2:] == ["pump-2  bad    one two three four five", "               six seven"]
    assert drawn(20) == [
        "DEVICE  STATE",
        "  MESSAGE",
        "pump-1  ok",
        "  short",
        "pump-2  bad",
        "  one two three four",
        "  five six seven",
    ]
    assert drawn(12)[:5] == ["pump-1", "  state ok", "  message", "  short", "pump-2"]


def drawn(*arguments: str | Path, columns: int = NARROW) -> list[str]:
    return unstyled(on_terminal(*arguments, columns=columns)).splitlines()


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    made = gateway_folder(tmp_path)
    silent = Blocked(DeviceId("pump-north-hall-7"), RolloutId("wear"), BlockedReason.SILENT, LONG)
    made.publish(silent, NoChange(DeviceId("pump-1"), "as desired"))
    made.record_report("pump-1", timedelta(minutes=3))
    return made


def test_the_commands_of_a_gateway_fit(gateway: GatewayFolder) -> None:
    for words in (("status",), ("status", "pump-1"), ("doctor",)):
        lines = drawn(*words, "--config", gateway.config)
        assert len(lines) > 5, words
        assert [line for line in lines if len(line) > NARROW and not line.startswith(PROSE)] == [], words


def test_without_a_terminal_each_row_is_a_line(gateway: GatewayFolder) -> None:
    lines = gateway.tinyfleet("status").output.splitlines()
    assert any(line.startswith("pump-north-hall-7") and line.endswith(LONG) for line in lines)


@pytest.fixture
def history(tmp_path: Path) -> FleetHistory:
    made = fleet_history(tmp_path)
    head = made.commit(fleet_files(), "The hall")
    made.status({**rollout_status_file(done=3), **device_status_file("pump-01", head)})
    return made


def test_the_commands_of_an_author_fit(history: FleetHistory, tmp_path: Path) -> None:
    pack = tmp_path / "x.pack"
    pack.write_bytes(good_packs()["softmax"])
    for words in (
        ("rollout", "list", history.path),
        ("rollout", "show", "wear", history.path),
        ("pack", "inspect", pack),
        ("plan", history.path, "--all"),
    ):
        lines = drawn(*words)
        assert len(lines) > 1, words
        assert [line for line in lines if len(line) > NARROW and not line.startswith(PROSE)] == [], words


def test_bars_are_shown_where_there_is_room(history: FleetHistory) -> None:
    assert "━" not in "".join(drawn("rollout", "list", history.path))
    assert "━" in "".join(drawn("rollout", "list", history.path, columns=120))


def test_styles_are_for_terminals_and_not_with_no_color(history: FleetHistory) -> None:
    words = ("rollout", "list", history.path)
    assert on_terminal(*words, columns=NARROW).count("\x1b[") > 3
    plain = on_terminal(*words, columns=NARROW, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)
    assert "\x1b" not in CliRunner().invoke(cli, [*map(str, words)]).output
