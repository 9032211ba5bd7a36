# SPDX-License-Identifier: Apache-2.0
"""No text of others reaches a log, a terminal or a page as a command."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.daemon.logging_setup import JsonFormatter, TextFormatter
from reconciler.foreign_text import REPLACEMENT, printable, printable_line
from reconciler.report.conditions import Condition, Status
from reconciler.report.rollout_file import read_rollout_file, rollout_file
from tests.page.fleets import rollouts, troubled

SEQUENCES = ("\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "a\rb", "a\bb", "\u202e", "\u2028", "\udc9b", "\x7f", "\0")


@pytest.mark.parametrize("text", SEQUENCES)
def test_a_sequence_is_replaced_and_its_text_stays(text: str) -> None:
    shown = printable(f"before {text} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert REPLACEMENT in shown
    assert shown.replace(REPLACEMENT, "").isprintable()


@given(st.text())
def test_only_characters_that_are_shown_are_left(text: str) -> None:
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in printable_line(text))
    assert printable_line(printable_line(text)) == printable_line(text)


@pytest.mark.parametrize("text", ["plain", "Grüße aus Köln", "日本語", "a\tb\nc", "±20 °C", "😀"])
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("formatter", [TextFormatter(journald=False), TextFormatter(journald=True), JsonFormatter()])
def test_a_log_line_is_printable_whatever_it_quotes(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", ("\x1b[2J\x9b31m",), None)
    line = formatter.format(record)
    assert "\x1b" not in line
    assert "\x9b" not in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["message"] == printable("\x1b[2J\x9b31m")


def test_a_status_that_others_pushed_is_printable() -> None:
    status = rollouts(list(troubled()))[0]
    data = rollout_file(status).replace(status.facts.model.encode(), rb'"\e[2Jowned"', 1)
    assert read_rollout_file(data).facts.model == f"{REPLACEMENT}[2Jowned"
    condition = Condition("Ready", Status.FALSE, "Held", "x\x1b[2J", datetime(2026, 1, 1, tzinfo=UTC), "c")
    assert Condition.from_dict(condition.as_dict()).message == f"x{REPLACEMENT}[2J"
