# SPDX-License-Identifier: Apache-2.0
"""All documents of a repository by kind and name, and where each of them stands."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from reconciler import model
from reconciler.load.document_check import CheckedFile, Item, placed
from reconciler.load.problems import JsonPath, Problem, Rule, did_you_mean
from reconciler.load.schema_errors import SchemaError
from reconciler.load.schemas import KINDS
from reconciler.tree import Entry, Tree

MAX_ALIKE = 100  # problems of one sort that are told one by one: a missing gateway concerns every device

Where = tuple[Entry, Item]


@dataclass(slots=True)
class Mistake:
    """A mistake that only shows when documents are seen together."""

    where: Where | None  # None: it concerns the repository as a whole
    at: JsonPath
    rule: Rule
    message: str
    hint: str = ""


@dataclass(slots=True)
class DocumentSet:
    """The good documents by kind, and the names of those that are there but have mistakes."""

    fleets: dict[str, model.Fleet] = field(default_factory=dict)
    gateways: dict[model.GatewayId, model.Gateway] = field(default_factory=dict)
    types: dict[model.TypeId, model.DeviceType] = field(default_factory=dict)
    devices: dict[model.DeviceId, model.Device] = field(default_factory=dict)
    models: dict[model.ModelRef, model.Model] = field(default_factory=dict)
    rollouts: dict[model.RolloutId, model.Rollout] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)  # everything that is not YAML, by path
    broken: set[tuple[str, str]] = field(default_factory=set)  # kind and name
    suggestions_left: int = 200  # each costs milliseconds, and nobody reads so many
    whole: bool = True  # every file could be read to its end, so that a missing name is missing
    _files: list[tuple[Entry, CheckedFile]] = field(default_factory=list)
    _where: dict[str, dict[Hashable, Where]] = field(default_factory=dict)

    def add(self, entry: Entry, checked: CheckedFile) -> None:
        """Take in the documents of one file."""
        self.whole = self.whole and checked.whole
        self.broken |= checked.broken
        self._files.append((entry, checked))
        tables: dict[str, dict[Any, Any]] = {
            "Fleet": self.fleets,
            "Gateway": self.gateways,
            "DeviceType": self.types,
            "Device": self.devices,
            "Model": self.models,
            "Rollout": self.rollouts,
        }
        for kind, values in checked.values.items():
            table = tables[kind]
            if table.keys().isdisjoint(values):
                table.update(values)
            else:
                table.update({key: value for key, value in values.items() if key not in table})

    def where(self, kind: str, key: Hashable) -> Where:
        """Say where a good document stands. Looked up when somebody complains, not before."""
        if kind not in self._where:
            self._where[kind] = {}
            for place in self._all(kind):
                self._where[kind].setdefault(place[1].key, place)
        return self._where[kind][key]

    def _all(self, kind: str) -> Iterator[Where]:
        for entry, checked in self._files:
            if kind in checked.values:
                yield from ((entry, item) for item in checked.items if item.kind == kind and item.value is not None)

    @property
    def repeated(self) -> Iterator[Mistake]:
        """Documents whose name another one has."""
        tables: tuple[Sized, ...] = (self.fleets, self.gateways, self.types, self.devices, self.models, self.rollouts)
        named = sum(len(table) for table in tables)
        written = sum(len(checked.items) for _, checked in self._files)
        nameless = sum(item.value is None for _, checked in self._files if checked.broken for item in checked.items)
        if named + nameless == written:
            return
        for kind in KINDS:
            for entry, item in self._all(kind):
                first = self.where(kind, item.key)
                if first[1] is not item or first[0] is not entry:
                    yield _repeated(first, (entry, item))

    def may_exist(self, kind: str, name: str) -> bool:
        """Tell whether a name that no good document has may stand in a broken one."""
        return not self.whole or any((k, n) in self.broken for k in (kind, "") for n in (name, ""))

    def has_broken(self, kind: str) -> bool:
        """Tell whether a document of this kind may be missing because it has mistakes."""
        return not self.whole or any(broken in {kind, ""} for broken, _ in self.broken)

    def suggest(self, name: str, known: Iterable[object]) -> str:
        """Suggest what a name that nothing has was meant to be."""
        if self.suggestions_left <= 0:
            return ""
        self.suggestions_left -= 1
        return did_you_mean(name, map(str, known))


def _repeated(first: Where, second: Where) -> Mistake:
    item = second[1]
    at: JsonPath = ("spec", "version") if isinstance(item.value, model.Model) else ("metadata", "name")
    said = f"a {item.kind} named `{item.key}` is already at {first[0].path}:{first[1].line}"
    return Mistake(second, at, Rule.DUPLICATE_NAME, said, "give one of the two another name, or remove it")


def located(tree: Tree, complaints: Iterable[Mistake]) -> Iterator[Problem]:
    """Give complaints their lines. Each file concerned is read again: the good case pays nothing for it."""
    by_entry: dict[Entry, list[tuple[int, Mistake]]] = {}
    for complaint in complaints:
        if complaint.where is None:
            yield Problem("", 0, 0, "", complaint.rule, complaint.message, complaint.hint)
        else:
            entry, item = complaint.where
            by_entry.setdefault(entry, []).append((item.index, complaint))
    for entry, group in by_entry.items():
        group.sort(key=itemgetter(0))
        findings = [(index, SchemaError(one.at, one.at, one.rule, one.message, one.hint)) for index, one in group]
        problems = placed(tree.read(entry), findings)
        yield from (replace(problem, path=entry.path) for problem in problems)


def at_most(complaints: Iterable[Mistake]) -> Iterator[Mistake]:
    """Tell the first of one sort one by one, and of the rest their number."""
    rest: list[Mistake] = []
    for count, complaint in enumerate(complaints):
        if count < MAX_ALIKE:
            yield complaint
        else:
            rest.append(complaint)
    if rest:
        more = f"and {len(rest)} more beside the {MAX_ALIKE} told before; the first of them: {rest[0].message}"
        yield Mistake(rest[0].where, rest[0].at, rest[0].rule, more, rest[0].hint)
