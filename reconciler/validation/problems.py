# SPDX-License-Identifier: Apache-2.0
"""A problem in a fleet repository, written for the author who has to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

JsonPath = tuple[str | int, ...]
KEY = -1  # appended to the path of a value, it stands for its key: an index that no list item has

MAX_WORD_CHARS = 128  # no suggestion for a longer word: it is not a typing mistake
MAX_CANDIDATES = 2000  # comparing with more words takes longer than a suggestion is worth
MAX_LISTED = 12  # allowed words that a message lists before it only counts the rest


class Rule(StrEnum):
    """The rule that a problem violates. The names are stable; docs/validation.md has a row for each."""

    # Bytes and YAML syntax
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
    # Files
    UNSAFE_PATH = "unsafe-path"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    SPECIAL_FILE = "special-file"
    MISSING_FILE = "missing-file"
    CHECKSUM_MISMATCH = "checksum-mismatch"
    LFS_POINTER = "lfs-pointer"
    DVC_POINTER = "dvc-pointer"
    # References between documents
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
    POOL_ONLY = "pool-only"
    SEVERAL_CONTESTS = "several-contests"
    CONTEST_GATEWAY = "contest-gateway"
    NO_CANDIDATE = "no-candidate"
    EMPTY_SELECTOR = "empty-selector"


class Severity(StrEnum):
    """Whether a problem stops the repository from being applied."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: where it is, what is wrong, and how to fix it."""

    path: str  # relative to the root of the repository; empty if the problem concerns the whole repository
    line: int  # from 1; 0 if no line applies
    column: int  # from 1, in characters
    json_path: str  # for example `$.spec.link.serial.baud`; empty if no document could be read
    rule: Rule
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        """Escape control characters that authors put into names, so that no output can steer a terminal."""
        for name in ("path", "json_path", "message", "hint"):
            text: str = getattr(self, name)
            if not text.isprintable():
                object.__setattr__(self, name, text.encode("unicode_escape", "backslashreplace").decode("ascii"))

    @property
    def severity(self) -> Severity:
        """A selector that matches no device is only a warning: the devices may be added later."""
        return Severity.WARNING if self.rule is Rule.EMPTY_SELECTOR else Severity.ERROR

    def __str__(self) -> str:
        severity = "warning: " if self.severity is Severity.WARNING else ""
        place = (self.path or ".", self.line, self.column)
        return located(place, f"{severity}{self.message}", self.json_path, self.hint)


def located(place: tuple[str, int, int], message: str, setting: str = "", hint: str = "") -> str:
    """Write a problem as one line: file, line and column, what is wrong, with what, and how to fix it."""
    path, line, column = place
    at = f" [{setting}]" if setting else ""
    return f"{path}:{line}:{column}: {message}{at}{f' ({hint})' if hint else ''}"


def json_path(parts: Iterable[str | int]) -> str:
    """Format a path as JSONPath (RFC 9535), with dots where a name allows them."""
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
    """Suggest the allowed word that is closest to this one, if any is close."""
    if len(word) > MAX_WORD_CHARS:
        return ""
    choices = {choice.lower(): choice for choice in islice(allowed, MAX_CANDIDATES)}
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    return f"did you mean `{choices[close[0]]}`?" if close else ""


def quoted_list(words: Iterable[str]) -> str:
    """List words for a message, in order, and count those that do not fit."""
    every = list(words)
    more = f" and {len(every) - MAX_LISTED} more" if len(every) > MAX_LISTED else ""
    return ", ".join(f"`{word}`" for word in every[:MAX_LISTED]) + more
