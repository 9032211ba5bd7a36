# SPDX-License-Identifier: Apache-2.0
"""A mistake in a fleet repository, as its author needs to read it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

JsonPath = tuple[str | int, ...]

LONGEST_WORD = 128  # nobody mistypes more than that
SOUGHT = 2000  # among more words a suggestion costs more time than it saves
SHOWN = 12  # so many allowed words are listed before the rest is counted


class Rule(StrEnum):
    """What a problem breaks. The names are stable; docs/validation.md has a line for each."""

    # The bytes and the YAML
    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf8"
    INVALID_YAML = "invalid-yaml"
    TAB_INDENT = "tab-indent"
    DIRECTIVE = "directive"
    TAG = "tag"
    ALIAS = "alias"
    TOO_DEEP = "too-deep"
    TOO_MANY_PROBLEMS = "too-many-problems"
    DUPLICATE_KEY = "duplicate-key"
    NON_STRING_KEY = "non-string-key"
    AMBIGUOUS_SCALAR = "ambiguous-scalar"
    NON_FINITE_NUMBER = "non-finite-number"
    # One document against its schema
    NOT_A_MAPPING = "not-a-mapping"
    UNKNOWN_KIND = "unknown-kind"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_FIELD = "unknown-field"
    MISSING_FIELD = "missing-field"
    FIELD_CHOICE = "field-choice"
    WRONG_TYPE = "wrong-type"
    WRONG_VALUE = "wrong-value"
    # The files
    UNSAFE_PATH = "unsafe-path"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    SPECIAL_FILE = "special-file"
    MISSING_FILE = "missing-file"
    CHECKSUM_MISMATCH = "checksum-mismatch"
    LFS_POINTER = "lfs-pointer"
    # Documents seen together
    FLEET_COUNT = "fleet-count"
    DUPLICATE_NAME = "duplicate-name"
    UNRESOLVED_REFERENCE = "unresolved-reference"
    CONFLICTING_VALUES = "conflicting-values"
    UNKNOWN_TIME_ZONE = "unknown-time-zone"
    UNKNOWN_PARAMETER = "unknown-parameter"
    DEPENDENCY_CYCLE = "dependency-cycle"
    NO_GATEWAY = "no-gateway"
    SEVERAL_GATEWAYS = "several-gateways"
    OVERLAPPING_ROLLOUTS = "overlapping-rollouts"
    DUPLICATE_PUBLIC_KEY = "duplicate-public-key"
    LINK_MISMATCH = "link-mismatch"
    EMPTY_SELECTOR = "empty-selector"


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
    rule: Rule
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        """Keep terminals safe and lines whole: what authors write, control characters too, is quoted in here."""
        for name in ("path", "json_path", "message", "hint"):
            text: str = getattr(self, name)
            if not text.isprintable():
                object.__setattr__(self, name, text.encode("unicode_escape", "backslashreplace").decode("ascii"))

    @property
    def severity(self) -> Severity:
        """Only a selector without devices is a warning: they may be still to come."""
        return Severity.WARNING if self.rule is Rule.EMPTY_SELECTOR else Severity.ERROR

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
    if len(word) > LONGEST_WORD:
        return ""
    choices = {choice.lower(): choice for choice in islice(allowed, SOUGHT)}
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    return f"did you mean `{choices[close[0]]}`?" if close else ""


def listed(words: Iterable[str]) -> str:
    """List allowed words for a message, in order, and say how many more there are."""
    every = list(words)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(f"`{word}`" for word in every[:SHOWN]) + more
