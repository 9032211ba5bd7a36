# SPDX-License-Identifier: Apache-2.0
"""The line of a problem, with a caret below the place."""

from __future__ import annotations

import re
import unicodedata

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # those of YAML; TOML has only the first two
BEFORE = 40  # characters of a long line that are shown before the place
SHOWN = 76  # characters of a long line that are shown altogether
CUT = "…"


def excerpt(text: str, number: int, column: int) -> list[str]:
    """Return the line `number` of a text, and a line with a caret below `column`; nothing if there is no such line.

    Lines and columns count from 1. The text is foreign: a character that could steer a terminal becomes a space.
    """
    lines = LINE_BREAK.split(text)
    if not 1 <= number <= len(lines):
        return []
    line = "".join(character if character.isprintable() else " " for character in lines[number - 1])
    at = min(max(column - 1, 0), len(line))
    start = max(0, at - BEFORE) if len(line) > SHOWN else 0
    end = start + SHOWN
    shown = (CUT if start else "") + line[start:end] + (CUT if end < len(line) else "")
    margin = f"{number:>5} | "
    before = (CUT if start else "") + line[start:at]
    return [f"{margin}{shown}".rstrip(), f"{' ' * (len(margin) - 2)}| {' ' * _columns(before)}^"]


def _columns(text: str) -> int:
    """Count the columns that a terminal needs for a text."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )
