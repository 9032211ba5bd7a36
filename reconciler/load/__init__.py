# SPDX-License-Identifier: Apache-2.0
"""From a tree of files to the wanted state, or to everything that is wrong with it.

Each file is read and checked on its own, once for each blob; then names are followed across files.
All problems of a repository are told at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from reconciler.load.check_cache import CheckCache
from reconciler.load.directory_tree import DirectoryTree
from reconciler.load.document_check import CheckedFile, check
from reconciler.load.file_filter import sort
from reconciler.load.model_sources import sources, used
from reconciler.load.ownership import owners
from reconciler.load.problems import Problem, Severity
from reconciler.load.references import names
from reconciler.load.document_index import DocumentSet, located
from reconciler.model import Commit, Desired
from reconciler.tree import Entry, Tree


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a tree says: the wanted state, unless there is an error, and every problem in order."""

    desired: Desired | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems because of which the tree is not applied."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def load(tree: Tree, *, commit: Commit, cache: CheckCache | None = None) -> LoadResult:
    """Load a tree. With a cache only blobs that it has not seen are read, and a known commit costs nothing.

    `commit` must name the tree's content if a cache is given: an empty one never counts as known.
    """
    if cache is not None and commit and cache.last is not None and cache.last[0] == commit:
        known: LoadResult = cache.last[1]
        return known
    used_cache = CheckCache() if cache is None else cache
    try:
        loaded = _load(tree, commit, used_cache)
    finally:
        used_cache.save()  # what was found out stays true if the source failed half-way
    used_cache.last = (commit, loaded)
    return loaded


def _load(tree: Tree, commit: Commit, cache: CheckCache) -> LoadResult:
    files = sort(tree.entries())
    problems = files.problems
    repository = DocumentSet(files=files.others, whole=files.whole)
    for entry in files.yaml:
        checked = _checked(tree, entry, cache)
        problems += [replace(problem, path=entry.path) for problem in checked.problems]
        repository.add(entry, checked)
    complaints = chain(names(repository), owners(repository), sources(repository, tree, cache))
    problems += located(tree, complaints)
    cache.keep(chain((entry.blob for entry in files.yaml), (entry.blob for entry in used(repository))))
    wrong = any(problem.severity is Severity.ERROR for problem in problems)
    return LoadResult(None if wrong else _desired(commit, repository), tuple(sorted(set(problems))))


def _checked(tree: Tree, entry: Entry, cache: CheckCache) -> CheckedFile:
    known = cache.checked(entry.blob)
    if known is None:
        known, documents = check(tree.read(entry))
        cache.remember_checked(entry.blob, known, documents)
    return known


def _desired(commit: Commit, repository: DocumentSet) -> Desired:
    return Desired(
        commit=commit,
        fleet=next(iter(repository.fleets.values())),
        gateways=repository.gateways,
        types=repository.types,
        devices=repository.devices,
        models=repository.models,
        rollouts=repository.rollouts,
    )


__all__ = ["CheckCache", "DirectoryTree", "LoadResult", "Problem", "Severity", "load"]
