# SPDX-License-Identifier: Apache-2.0
"""A mistake in a fleet repository, as its author needs to read it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

JsonPath = tuple[str | int, ...]

SHOWN = 12  # so many allowed words are listed before the rest is counted


class Severity(StrEnum):
    """Whether a problem stops the repository from being applied."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where it is, what was found, and what would do."""

    path: str  # of the file, from the repository's root; empty for the repository as a whole
    line: int  # from 1; 0 where no line can be named
    column: int  # from 1, in characters
    json_path: str  # `$.spec.link.serial.baud`; empty where no document was read
    message: str
    severity: Severity = Severity.ERROR
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.path or '.'}:{self.line}:{self.column}"
        kind = "warning: " if self.severity is Severity.WARNING else ""
        where = f" [{self.json_path}]" if self.json_path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {kind}{self.message}{where}{hint}"


def json_path(parts: Iterable[str | int]) -> str:
    """Write a path as JSONPath does (RFC 9535), short names with a dot."""
    text = "$"
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isascii() and part.isidentifier():
            text += f".{part}"
        else:
            text += f"[{part!r}]"
    return text


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Suggest the allowed word that is most like this one, or nothing."""
    choices = {choice.lower(): choice for choice in allowed}
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    return f"did you mean `{choices[close[0]]}`?" if close else ""


def listed(words: Iterable[str]) -> str:
    """List allowed words for a message, in order, and say how many more there are."""
    every = list(words)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(f"`{word}`" for word in every[:SHOWN]) + more
