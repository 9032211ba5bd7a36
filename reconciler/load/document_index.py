# SPDX-License-Identifier: Apache-2.0
"""All documents of a repository, indexed by kind and name, with the file that each comes from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from reconciler import model
from reconciler.load.document_check import CheckedDocument, CheckedFile, locate_problems
from reconciler.load.schemas import KINDS
from reconciler.tree import Tree, TreeEntry
from reconciler.validation.problems import JsonPath, Problem, Rule, did_you_mean
from reconciler.validation.schema_errors import DocumentProblem

MAX_ALIKE = 100  # similar problems that are listed one by one: a missing gateway affects every device

Origin = tuple[TreeEntry, CheckedDocument]


@dataclass(slots=True)
class RepositoryProblem:
    """A problem that only shows when documents are seen together."""

    origin: Origin | None  # None: it concerns the repository as a whole
    at: JsonPath
    rule: Rule
    message: str
    hint: str = ""


@dataclass(slots=True)
class DocumentIndex:
    """The valid documents by kind, and the names of documents that exist but have errors."""

    fleets: dict[str, model.Fleet] = field(default_factory=dict)
    gateways: dict[model.GatewayId, model.Gateway] = field(default_factory=dict)
    types: dict[model.TypeId, model.DeviceType] = field(default_factory=dict)
    devices: dict[model.DeviceId, model.Device] = field(default_factory=dict)
    models: dict[model.ModelRef, model.Model] = field(default_factory=dict)
    rollouts: dict[model.RolloutId, model.Rollout] = field(default_factory=dict)
    contests: dict[model.ContestId, model.Contest] = field(default_factory=dict)
    trainings: dict[model.TrainingId, model.Training] = field(default_factory=dict)
    pipelines: dict[model.PipelineId, model.Pipeline] = field(default_factory=dict)
    functions: dict[model.FunctionId, model.Function] = field(default_factory=dict)
    files: dict[str, TreeEntry] = field(default_factory=dict)  # every file that is not YAML, by path
    broken: set[tuple[str, str]] = field(default_factory=set)  # (kind, name)
    suggestions_left: int = 200  # each takes milliseconds, and a longer list is not read anyway
    complete: bool = True  # every file was read to its end, so a name that is not here does not exist
    _files: list[tuple[TreeEntry, CheckedFile]] = field(default_factory=list)
    _origins: dict[str, dict[Hashable, Origin]] = field(default_factory=dict)

    def add(self, entry: TreeEntry, checked: CheckedFile) -> None:
        """Add the documents of one file."""
        self.complete = self.complete and checked.complete
        self.broken |= checked.broken
        self._files.append((entry, checked))
        tables: dict[str, dict[Any, Any]] = {
            "Fleet": self.fleets,
            "Gateway": self.gateways,
            "DeviceType": self.types,
            "Device": self.devices,
            "Model": self.models,
            "Rollout": self.rollouts,
            "Contest": self.contests,
            "Training": self.trainings,
            "Pipeline": self.pipelines,
            "Function": self.functions,
        }
        for kind, values in checked.values.items():
            table = tables[kind]
            if table.keys().isdisjoint(values):
                table.update(values)
            else:
                table.update({key: value for key, value in values.items() if key not in table})

    def origin(self, kind: str, key: Hashable) -> Origin:
        """Return where a valid document comes from. Computed only once a problem needs it."""
        if kind not in self._origins:
            self._origins[kind] = {}
            for origin in self._all(kind):
                self._origins[kind].setdefault(origin[1].key, origin)
        return self._origins[kind][key]

    def _all(self, kind: str) -> Iterator[Origin]:
        for entry, checked in self._files:
            if kind in checked.values:
                yield from (
                    (entry, document)
                    for document in checked.documents
                    if document.kind == kind and document.value is not None
                )

    @property
    def duplicates(self) -> Iterator[RepositoryProblem]:
        """Documents that have the same name as an earlier document of their kind."""
        tables: tuple[Sized, ...] = (
            self.fleets,
            self.gateways,
            self.types,
            self.devices,
            self.models,
            self.rollouts,
            self.contests,
            self.trainings,
            self.pipelines,
            self.functions,
        )
        indexed = sum(len(table) for table in tables)
        written = sum(len(checked.documents) for _, checked in self._files)
        invalid = sum(each.value is None for _, checked in self._files if checked.broken for each in checked.documents)
        if indexed + invalid == written:
            return
        for kind in KINDS:
            for entry, document in self._all(kind):
                first = self.origin(kind, document.key)
                if first[1] is not document or first[0] is not entry:
                    yield _duplicate(first, (entry, document))

    def may_exist(self, kind: str, name: str) -> bool:
        """Return whether a name that no valid document has may belong to one with errors."""
        return not self.complete or any((k, n) in self.broken for k in (kind, "") for n in (name, ""))

    def has_broken(self, kind: str) -> bool:
        """Return whether a document of this kind may be absent only because it has errors."""
        return not self.complete or any(broken in {kind, ""} for broken, _ in self.broken)

    def suggest(self, name: str, known: Iterable[object]) -> str:
        """Suggest an existing name for one that does not exist."""
        if self.suggestions_left <= 0:
            return ""
        self.suggestions_left -= 1
        return did_you_mean(name, map(str, known))


def _duplicate(first: Origin, second: Origin) -> RepositoryProblem:
    document = second[1]
    at: JsonPath = ("spec", "version") if isinstance(document.value, model.Model) else ("metadata", "name")
    message = f"duplicate {document.kind} `{document.key}`; the first one is at {first[0].path}:{first[1].line}"
    return RepositoryProblem(second, at, Rule.DUPLICATE_NAME, message, "rename one of them, or remove it")


def locate_in_tree(tree: Tree, found: Iterable[RepositoryProblem]) -> Iterator[Problem]:
    """Add file and line to problems. Reads each affected file again, so a valid repository pays nothing."""
    by_entry: dict[TreeEntry, list[tuple[int, RepositoryProblem]]] = {}
    for problem in found:
        if problem.origin is None:
            yield Problem("", 0, 0, "", problem.rule, problem.message, problem.hint)
        else:
            entry, document = problem.origin
            by_entry.setdefault(entry, []).append((document.index, problem))
    for entry, group in by_entry.items():
        group.sort(key=itemgetter(0))
        in_documents = [
            (index, DocumentProblem(one.at, one.at, one.rule, one.message, one.hint)) for index, one in group
        ]
        located = locate_problems(tree.read(entry), in_documents)
        yield from (replace(problem, path=entry.path) for problem in located)


def cap_alike(found: Iterable[RepositoryProblem]) -> Iterator[RepositoryProblem]:
    """Pass on the first problems of a check one by one, and summarize the rest in one."""
    rest: list[RepositoryProblem] = []
    for count, problem in enumerate(found):
        if count < MAX_ALIKE:
            yield problem
        else:
            rest.append(problem)
    if rest:
        message = f"and {len(rest)} more problems like the {MAX_ALIKE} reported above; the next one: {rest[0].message}"
        yield RepositoryProblem(rest[0].origin, rest[0].at, rest[0].rule, message, rest[0].hint)
