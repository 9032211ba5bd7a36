# SPDX-License-Identifier: Apache-2.0
"""What Git wants: the last commit that is both allowed and free of mistakes, and what is wrong with the newest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.engine.state.database import StateDatabase
from reconciler.errors import Invalid
from reconciler.git.commit_tree import CommitTree
from reconciler.git.source import Advanced, CommitSource, Kept, Outcome, Unchanged
from reconciler.load import CheckCache, Problem, load
from reconciler.model import Commit, Desired
from reconciler.report.gateway_status import SourceState


class RepositoryInvalid(Invalid):
    """The newest commit has mistakes."""

    reason: ClassVar[str] = "Invalid"


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What to enforce, and how the look at Git went."""

    desired: Desired | None  # None: there has never been a commit to enforce
    source: SourceState
    problems: tuple[str, ...] = ()


class DesiredStateSource:
    """Looks at Git. For one thread, like the source that it uses."""

    def __init__(self, source: CommitSource, cache: CheckCache, state: StateDatabase) -> None:
        self._source = source
        self._cache = cache
        self._state = state
        self._desired: Desired | None = None
        self._problems: tuple[str, ...] = ()

    def look(self) -> DesiredState:
        """Fetch, judge, load. What goes wrong out there is told in the value; the last good commit stays."""
        source = self._follow(self._source.poll(self._state.applied))
        return DesiredState(self._desired, source, self._problems)

    def tree(self, commit: Commit) -> CommitTree:
        """Open the files of a commit; close what is returned."""
        return self._source.tree(commit)

    def _follow(self, outcome: Outcome) -> SourceState:
        match outcome:
            case Advanced(commit=commit):
                self._take(commit)
                return SourceState(
                    good=True, reason="Fetched", message=f"commit {commit[:12]} was fetched and is allowed"
                )
            case Unchanged(commit=commit):
                self._problems = ()
                self._resume(commit)
                return SourceState(good=True, reason="Fetched", message=f"commit {commit[:12]} is the newest")
            case Kept(commit=kept, reason=reason, message=message, transient=transient):
                if kept is not None:
                    self._resume(kept)
                good = reason == RepositoryInvalid.reason  # fetched well; `Valid` tells what is wrong with it
                return SourceState(good, "Fetched" if good else reason, message, transient)

    def _take(self, commit: Commit) -> None:
        """Enforce a new commit if it has no mistakes."""
        desired, errors = self._load(commit)
        if desired is None:
            self._problems = tuple(str(problem) for problem in errors)
            self._source.reject(commit, RepositoryInvalid(f"commit {commit[:12]} has {len(errors)} mistakes"))
            if self._desired is None and self._state.applied is not None:
                self._resume(self._state.applied)
            return
        self._problems = ()
        self._desired = desired
        self._state.applied = commit

    def _resume(self, commit: Commit) -> None:
        """Load what is enforced: after a restart, or when a person accepted another commit meanwhile."""
        if self._desired is None or self._desired.commit != commit:
            desired, errors = self._load(commit)
            self._desired = desired or self._desired
            if desired is None:
                self._problems = tuple(str(problem) for problem in errors)

    def _load(self, commit: Commit) -> tuple[Desired | None, tuple[Problem, ...]]:
        with self._source.tree(commit) as tree:
            loaded = load(tree, commit=commit, cache=self._cache)
        return loaded.desired, loaded.errors
