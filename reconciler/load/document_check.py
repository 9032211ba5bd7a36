# SPDX-License-Identifier: Apache-2.0
"""One file on its own: its documents checked against their schemas, its mistakes placed.

What comes out depends on nothing but the bytes (and the schemas), so it can be kept by blob.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reconciler.load.problems import JsonPath, Problem, Rule, did_you_mean, json_path, listed
from reconciler.load.schema_errors import SchemaError, explain, found
from reconciler.load.schemas import API_VERSION, KINDS, LATER_KINDS, validator
from reconciler.load.strict_yaml import Document, MAX_PROBLEMS, Place, parse_yaml, places
from reconciler.load.typed_values import Value, value_of
from reconciler.model import Model

NAME: JsonPath = ("metadata", "name")


@dataclass(frozen=True, slots=True)
class Item:
    """One document: what it names, and its value unless it has mistakes."""

    kind: str  # empty where it could not be told
    name: str
    value: Value | None
    index: int  # which document of the file, from 0
    line: int
    column: int

    @property
    def key(self) -> Hashable:
        """What no other document of its kind may have."""
        return self.value.ref if isinstance(self.value, Model) else self.name


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """All that one file says. With `whole` false there may be more in it that could not be read."""

    items: tuple[Item, ...] = ()
    problems: tuple[Problem, ...] = ()  # without a path: one blob may stand under several
    whole: bool = True
    # The same once more, in the form that a commit of a thousand unchanged files is put together from.
    values: Mapping[str, dict[Hashable, Value]] = field(init=False, compare=False, repr=False)
    broken: frozenset[tuple[str, str]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the items by kind; of two that have one name here, the first counts."""
        values: dict[str, dict[Hashable, Value]] = {}
        for item in self.items:
            if item.value is not None:
                values.setdefault(item.kind, {}).setdefault(item.key, item.value)
        broken = frozenset((item.kind, item.name) for item in self.items if item.value is None)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "broken", broken)


def check(data: bytes) -> tuple[CheckedFile, list[Any]]:
    """Check one file; also return the plain documents of its items, for a cache."""
    reading = parse_yaml(data)
    items: list[Item] = []
    findings: list[tuple[int, SchemaError]] = []
    for index, document in enumerate(reading.documents):
        item, wrong = _check_document(index, document)
        items.append(item)
        findings += [(index, finding) for finding in wrong]
        if len(findings) >= MAX_PROBLEMS:
            said = f"{MAX_PROBLEMS} problems; the rest of the file was not checked"
            findings.append((index, SchemaError((), (), Rule.TOO_MANY, said)))
            break
    whole = reading.whole and len(items) == len(reading.documents)
    problems = [*reading.problems, *placed(data, findings)]
    return CheckedFile(tuple(items), tuple(problems), whole), [each.value for each in reading.documents]


def placed(data: bytes, findings: Iterable[tuple[int, SchemaError]]) -> list[Problem]:
    """Find line and column for mistakes in a file's documents."""
    waiting = list(findings)
    known = places(data) if waiting else []
    return [_placed(known[index] if index < len(known) else {}, finding) for index, finding in waiting]


def _placed(known: Mapping[JsonPath, Place], finding: SchemaError) -> Problem:
    line, column = _nearest(known, finding.place)
    return Problem("", line, column, json_path(finding.at), finding.rule, finding.message, finding.hint)


def _nearest(known: Mapping[JsonPath, Place], at: JsonPath) -> Place:
    """Return the place of the value, or of the closest one around it."""
    while True:
        if at in known:
            return known[at]
        if not at:
            return (1, 1)
        at = at[:-1]


def _check_document(index: int, document: Document) -> tuple[Item, list[SchemaError]]:
    raw = document.value
    kind, findings = _kind(raw)
    name = _name(raw)
    value: Value | None = None
    if not findings:
        errors = validator(kind).iter_errors(raw)
        explained = (finding for error in errors for finding in explain(error))
        findings = list(islice(explained, MAX_PROBLEMS))  # a list of a million wrong words is one mistake
    if not findings and isinstance(raw, dict):
        value = value_of(kind, raw)
    if any(finding.at == NAME for finding in findings):
        name = ""  # nobody can tell which name was meant
    return Item(kind, name, value, index, document.line, document.column), findings


def _kind(raw: object) -> tuple[str, list[SchemaError]]:
    """Tell the kind of a document before a schema is asked, which would have to be that kind's."""
    if not isinstance(raw, dict):
        said = f"found {found(raw)} where a mapping with `apiVersion` and `kind` is due"
        return "", [SchemaError((), (), Rule.NO_DOCUMENT, said)]
    findings = []
    version, kind = raw.get("apiVersion"), raw.get("kind")
    if version is None or kind is None:
        missing = [name for name in ("apiVersion", "kind") if raw.get(name) is None]
        hint = "" if kind is not None or version is not None else "only tinyfleet's own YAML belongs here"
        findings = [
            SchemaError((), (name,), Rule.MISSING_FIELD, f"the field `{name}` is missing", hint) for name in missing
        ]
    if version is not None and version != API_VERSION:
        said = f"{found(version)} is no known version; `{API_VERSION}` is"
        at: JsonPath = ("apiVersion",)
        findings.append(SchemaError(at, at, Rule.UNKNOWN_VERSION, said, did_you_mean(str(version), [API_VERSION])))
    if isinstance(kind, str) and kind in KINDS:
        return kind, findings
    if kind in LATER_KINDS:
        said = f"`{kind}` is planned, but this version does not know it yet"
        findings.append(SchemaError(("kind",), ("kind",), Rule.UNKNOWN_KIND, said))
    elif kind is not None:
        said = f"{found(kind)} is no known kind; one of {listed(KINDS)}"
        findings.append(SchemaError(("kind",), ("kind",), Rule.UNKNOWN_KIND, said, did_you_mean(str(kind), KINDS)))
    return "", findings


def _name(raw: object) -> str:
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
