# SPDX-License-Identifier: Apache-2.0
"""Finds the line and the column of a setting in a TOML file.

The parser of the standard library gives no positions. But the setting that a line completes is the one that the file
has up to this line and not before, so parsing ever longer parts of the file finds each statement exactly.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from reconciler.validation.problems import KEY, JsonPath

MAX_LINES = 2000  # parsing each part of a longer file takes longer than a position is worth
NOWHERE = (0, 0)
SYNTAX = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class TomlLocations:
    """The positions in one valid file."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        self._statements = list(self._parse()) if len(self._lines) <= MAX_LINES else []

    def of(self, path: JsonPath) -> tuple[int, int]:
        """Return the line and the column of a value; if the path ends with `KEY`, of its key."""
        at_key, path = path[-1:] == (KEY,), path[:-1] if path[-1:] == (KEY,) else path
        if not path:
            return (1, 1)
        names = [part for part in path if isinstance(part, str)]
        for first, last, document in self._statements:
            if _contains(document, path):
                return self._in_statement(first, last, names[-1], at_key=at_key)
        return NOWHERE

    def _parse(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield the lines of each statement, and what the file has said up to its end."""
        first = 1
        for last in range(1, len(self._lines) + 1):
            try:
                document = tomllib.loads("".join(self._lines[:last]))
            except tomllib.TOMLDecodeError:
                continue  # within a value of several lines
            yield first, last, document
            first = last + 1

    def _in_statement(self, first: int, last: int, name: str, *, at_key: bool) -> tuple[int, int]:
        key = re.compile(rf"(?<![\w-])[\"']?{re.escape(name)}[\"']?(?![\w-])(\s*=\s*)?")
        for number in range(first, last + 1):
            found = key.search(self._lines[number - 1])
            if found is not None:
                return number, (found.start() if at_key or found[1] is None else found.end()) + 1
        return first, 1


def syntax_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, int, str]:
    """Return the line, the column and the message of a file that is not TOML."""
    message = str(error)
    found = SYNTAX.search(message)
    if found is None or found[1] is None:
        lines = text.splitlines() or [""]
        position = (len(lines), len(lines[-1]) + 1)
    else:
        position = (int(found[1]), int(found[2]))
    return (*position, SYNTAX.sub("", message))


def _contains(document: Any, path: JsonPath) -> bool:  # noqa: ANN401 - TOML is untyped
    for part in path:
        match document, part:
            case dict(), str() if part in document:
                document = document[part]
            case list(), int() if part < len(document):
                document = document[part]
            case _:
                return False
    return True
