# SPDX-License-Identifier: Apache-2.0
"""Checks one file in isolation: validates its documents against their schemas and locates the problems.

The result depends only on the bytes and the schemas, so it can be cached by blob.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reconciler.load.model_conversion import Value, typed_value
from reconciler.load.schema_errors import schema_problems
from reconciler.load.schemas import API_VERSION, KINDS
from reconciler.load.strict_yaml import MAX_PROBLEMS, Position, YamlDocument, parse_yaml, positions
from reconciler.model import Model
from reconciler.validation.problems import JsonPath, Problem, Rule, did_you_mean, json_path, quoted_list
from reconciler.validation.schema_errors import DocumentProblem, describe

NAME: JsonPath = ("metadata", "name")


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """One document: its kind and name, and its typed value unless it has errors."""

    kind: str  # empty if it could not be determined
    name: str
    value: Value | None
    index: int  # position among the documents of the file, from 0
    line: int
    column: int

    @property
    def key(self) -> Hashable:
        """What must be unique among all documents of this kind."""
        return self.value.ref if isinstance(self.value, Model) else self.name


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """The content of one file. If `complete` is False, the file may hold more that could not be read."""

    documents: tuple[CheckedDocument, ...] = ()
    problems: tuple[Problem, ...] = ()  # without a path: the same blob may appear under several paths
    complete: bool = True
    # Derived from `documents`, so that a commit with a thousand unchanged files is assembled quickly.
    values: Mapping[str, dict[Hashable, Value]] = field(init=False, compare=False, repr=False)
    broken: frozenset[tuple[str, str]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Group the valid documents by kind; of two with the same name, the first one counts."""
        values: dict[str, dict[Hashable, Value]] = {}
        for document in self.documents:
            if document.value is not None:
                values.setdefault(document.kind, {}).setdefault(document.key, document.value)
        broken = frozenset((document.kind, document.name) for document in self.documents if document.value is None)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "broken", broken)


def check_file(data: bytes) -> tuple[CheckedFile, list[Any]]:
    """Check one file. The second value holds the plain documents, in the form that the cache stores."""
    parsed = parse_yaml(data)
    documents: list[CheckedDocument] = []
    found: list[tuple[int, DocumentProblem]] = []
    for index, raw in enumerate(parsed.documents):
        document, problems_of_document = _check_document(index, raw)
        documents.append(document)
        found += [(index, problem) for problem in problems_of_document]
        if len(found) >= MAX_PROBLEMS:
            message = f"{MAX_PROBLEMS} problems found; the rest of the file was not checked"
            found.append((index, DocumentProblem((), (), Rule.TOO_MANY_PROBLEMS, message)))
            break
    complete = parsed.complete and len(documents) == len(parsed.documents)
    problems = [*parsed.problems, *locate_problems(data, found)]
    return CheckedFile(tuple(documents), tuple(problems), complete), [each.value for each in parsed.documents]


def locate_problems(data: bytes, found: Iterable[tuple[int, DocumentProblem]]) -> list[Problem]:
    """Add line and column to problems of a file's documents; each comes with its document's index."""
    pending = list(found)
    known = positions(data) if pending else []
    return [_located(known[index] if index < len(known) else {}, problem) for index, problem in pending]


def _located(known: Mapping[JsonPath, Position], problem: DocumentProblem) -> Problem:
    line, column = _nearest(known, problem.pointer)
    return Problem("", line, column, json_path(problem.at), problem.rule, problem.message, problem.hint)


def _nearest(known: Mapping[JsonPath, Position], at: JsonPath) -> Position:
    """Return the position of a value, or of the closest value that contains it."""
    while True:
        if at in known:
            return known[at]
        if not at:
            return (1, 1)
        at = at[:-1]


def _check_document(index: int, document: YamlDocument) -> tuple[CheckedDocument, list[DocumentProblem]]:
    raw = document.value
    kind, problems = _kind(raw)
    name = _name(raw)
    value: Value | None = None
    if not problems:
        problems = list(islice(schema_problems(kind, raw), MAX_PROBLEMS))  # a million invalid items must stay bounded
    if not problems and isinstance(raw, dict):
        value = typed_value(kind, raw)
    if any(problem.at == NAME for problem in problems):
        name = ""  # the intended name is unknown
    return CheckedDocument(kind, name, value, index, document.line, document.column), problems


def _kind(raw: object) -> tuple[str, list[DocumentProblem]]:
    """Determine the kind of a document, which decides the schema to validate it with."""
    if not isinstance(raw, dict):
        message = f"expected a mapping with `apiVersion` and `kind`, found {describe(raw)}"
        return "", [DocumentProblem((), (), Rule.NOT_A_MAPPING, message)]
    problems = []
    version, kind = raw.get("apiVersion"), raw.get("kind")
    if version is None or kind is None:
        missing = [name for name in ("apiVersion", "kind") if raw.get(name) is None]
        hint = "" if kind is not None or version is not None else "a fleet repository holds only tinyfleet documents"
        problems = [
            DocumentProblem((), (name,), Rule.MISSING_FIELD, f"missing required field `{name}`", hint)
            for name in missing
        ]
    if version is not None and version != API_VERSION:
        message = f"unknown apiVersion {describe(version)}; expected `{API_VERSION}`"
        at: JsonPath = ("apiVersion",)
        problems.append(
            DocumentProblem(at, at, Rule.UNKNOWN_VERSION, message, did_you_mean(str(version), [API_VERSION]))
        )
    if isinstance(kind, str) and kind in KINDS:
        return kind, problems
    if kind is not None:
        message = f"unknown kind {describe(kind)}; expected one of {quoted_list(KINDS)}"
        problems.append(
            DocumentProblem(("kind",), ("kind",), Rule.UNKNOWN_KIND, message, did_you_mean(str(kind), KINDS))
        )
    return "", problems


def _name(raw: object) -> str:
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
