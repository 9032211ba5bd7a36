# SPDX-License-Identifier: Apache-2.0
"""Decides whether a commit that a gateway signed stays in its scope: loads the fleet before and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from reconciler.automation_scope import Grant, GrantedChange, find_change, grant_of
from reconciler.git.automation import AutomatedChange, ScopeDecision
from reconciler.git.commit_tree import CommitTree
from reconciler.load import CheckCache, LoadResult, load
from reconciler.load.file_filter import filter_files
from reconciler.load.scalar_edit import defines
from reconciler.model import Desired, GatewayId, RolloutId

_MODEL_PARTS = 4  # models/<name>/<version>/<file>, or deeper


class CommitScope:
    """What a commit may change, by the state before it. For the thread of the cache."""

    def __init__(self, cache: CheckCache, grant: Callable[[Desired, GatewayId], Grant] = grant_of) -> None:
        self._cache = cache
        self._grant = grant

    def __call__(self, change: AutomatedChange) -> ScopeDecision:
        """Return whether the change is in scope."""
        before, after = self._load(change.before), self._load(change.after)
        if before.desired is None or after.desired is None:
            tree, loaded = (change.before, before) if before.desired is None else (change.after, after)
            return ScopeDecision(f"commit {tree.commit[:12]} has {len(loaded.errors)} errors")
        grant = self._grant(before.desired, GatewayId(change.gateway))
        found = find_change(before.desired, after.desired, grant)
        if isinstance(found, str):
            return ScopeDecision(found)
        misplaced = next(_misplaced(change, found), None)
        return ScopeDecision(misplaced, found.direct)

    def _load(self, tree: CommitTree) -> LoadResult:
        return load(tree, commit=tree.commit, cache=self._cache)


def _misplaced(change: AutomatedChange, found: GrantedChange) -> Iterator[str]:
    """Yield the files that have no business in this change."""
    entries = change.before.entries()
    folders = {tuple(PurePosixPath(entry.path).parts[: _MODEL_PARTS - 1]) for entry in entries}
    yaml = {entry.path: entry for entry in filter_files(entries).yaml}
    versions = {("models", ref.name, ref.version) for ref in found.models}
    for file in change.files:
        if file.added:
            parts = PurePosixPath(file.path).parts
            folder = tuple(parts[: _MODEL_PARTS - 1])
            if len(parts) < _MODEL_PARTS or folder not in versions or folder in folders:
                yield f"{file.path} is not in the new folder of a model that it adds"
        elif file.path not in yaml or not _defines_any(change.before.read(yaml[file.path]), found.rollouts):
            yield f"{file.path} is not the file of a rollout that it changes"


def _defines_any(data: bytes, rollouts: Iterable[RolloutId]) -> bool:
    return any(defines(data, "Rollout", name) for name in rollouts)
