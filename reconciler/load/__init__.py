# SPDX-License-Identifier: Apache-2.0
"""Loads a fleet repository: turns a tree of files into the desired state, or into a list of problems.

Loading has two steps. Each YAML file is parsed and validated separately, once per blob; then references
between documents are resolved. All problems are reported together, not only the first one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from reconciler.load.check_cache import CheckCache
from reconciler.load.contests import check_contests
from reconciler.load.device_operations import check_device_operations
from reconciler.load.directory_tree import DirectoryTree
from reconciler.load.document_check import CheckedFile, check_file
from reconciler.load.document_index import DocumentIndex, locate_in_tree
from reconciler.load.file_filter import filter_files
from reconciler.load.functions import check_functions
from reconciler.load.learning import check_learning
from reconciler.load.ownership import check_ownership
from reconciler.load.pipelines import check_pipelines, stage_models, stage_rollouts
from reconciler.load.references import check_references
from reconciler.load.source_files import check_sources, source_files
from reconciler.load.trainings import check_trainings
from reconciler.model import Commit, Desired
from reconciler.tree import Tree, TreeEntry
from reconciler.validation.problems import Problem, Severity


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The desired state of a tree (None if there is any error), and all problems in file order."""

    desired: Desired | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the tree from being applied."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def load(tree: Tree, *, commit: Commit, cache: CheckCache | None = None) -> LoadResult:
    """Load a tree. With a cache, only blobs that it does not know are read.

    If a cache is given, `commit` must identify the content of the tree: loading the last commit again
    returns the same `LoadResult` object, and callers rely on that identity to detect "unchanged".
    An empty `commit` is never treated as known.
    """
    if cache is not None and commit and cache.last is not None and cache.last[0] == commit:
        known: LoadResult = cache.last[1]
        return known
    used_cache = CheckCache() if cache is None else cache
    try:
        loaded = _load(tree, commit, used_cache)
    finally:
        used_cache.save()  # results per blob stay valid even if reading the tree failed halfway
    used_cache.last = (commit, loaded)
    return loaded


def _load(tree: Tree, commit: Commit, cache: CheckCache) -> LoadResult:
    files = filter_files(tree.entries())
    problems = files.problems
    documents = DocumentIndex(files=files.others, complete=files.complete)
    for entry in files.yaml:
        checked = _checked(tree, entry, cache)
        problems += [replace(problem, path=entry.path) for problem in checked.problems]
        documents.add(entry, checked)
    found = chain(
        check_references(documents),
        check_ownership(documents),
        check_contests(documents),
        check_trainings(documents),
        check_learning(documents),
        check_pipelines(documents),
        check_functions(documents),
        check_device_operations(documents),
        check_sources(documents, tree, cache),
    )
    problems += locate_in_tree(tree, found)
    cache.keep(chain((entry.blob for entry in files.yaml), (entry.blob for entry in source_files(documents))))
    has_errors = any(problem.severity is Severity.ERROR for problem in problems)
    return LoadResult(None if has_errors else _desired(commit, documents), tuple(sorted(set(problems))))


def _checked(tree: Tree, entry: TreeEntry, cache: CheckCache) -> CheckedFile:
    known = cache.checked(entry.blob)
    if known is None:
        known, documents = check_file(tree.read(entry))
        cache.remember_checked(entry.blob, known, documents)
    return known


def _desired(commit: Commit, documents: DocumentIndex) -> Desired:
    return Desired(
        commit=commit,
        fleet=next(iter(documents.fleets.values())),
        gateways=documents.gateways,
        types=documents.types,
        devices=documents.devices,
        models={**documents.models, **stage_models(documents)},
        rollouts={**documents.rollouts, **stage_rollouts(documents)},
        contests=documents.contests,
        trainings=documents.trainings,
        pipelines=documents.pipelines,
        functions=documents.functions,
    )


__all__ = ["CheckCache", "DirectoryTree", "LoadResult", "Problem", "Severity", "load"]
