# SPDX-License-Identifier: Apache-2.0
"""The desired state: the last commit that is both allowed and valid, and what is wrong with the newest one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.engine.desired.changed_tree import ChangedTree
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import Invalid, Refused
from reconciler.git.commit_tree import CommitTree
from reconciler.git.source import Advanced, CommitSource, Kept, PollResult, Unchanged
from reconciler.load import CheckCache, LoadResult, Problem, load
from reconciler.model import Commit, Desired
from reconciler.report.gateway_status import SourceState

log = logging.getLogger(__name__)


class RepositoryInvalid(Invalid):
    """The newest commit has mistakes."""

    reason: ClassVar[str] = "Invalid"


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What to enforce, and how the poll of Git went."""

    desired: Desired | None  # None: there has never been a commit to enforce
    source: SourceState
    problems: tuple[str, ...] = ()
    rejected: Commit | None = None  # the newest commit, if the problems are its own

    def log(self) -> None:
        """Log how the poll went."""
        if self.source.good:
            log.info("%s", self.source.message)
        else:
            log.warning("%s: %s", self.source.reason, self.source.message, extra={"reason": self.source.reason})
        for problem in self.problems:
            log.error("%s", problem, extra={"reason": RepositoryInvalid.reason})


class DesiredStateSource:
    """Polls Git for the desired state. For the Git thread only, like the commit source that it uses."""

    def __init__(self, source: CommitSource, cache: CheckCache, state: StateWriter) -> None:
        self._source = source
        self._cache = cache
        self._state = state
        self._desired: Desired | None = None
        self._problems: tuple[str, ...] = ()
        self._rejected: Commit | None = None  # not known after a restart

    def poll(self) -> DesiredState:
        """Fetch, verify and load. Failures outside are part of the value; the last good commit stays enforced."""
        source = self._follow(self._source.poll(self._state.applied))
        return DesiredState(self._desired, source, self._problems, self._rejected if self._problems else None)

    def tree(self, commit: Commit) -> CommitTree:
        """Open the files of a commit; the caller closes it."""
        return self._source.tree(commit)

    @property
    def desired(self) -> Desired | None:
        """Return what is enforced, with the devices of all gateways."""
        return self._desired

    def changed(self, commit: Commit, files: Mapping[str, bytes]) -> LoadResult:
        """Load a commit as if some of its files had this content."""
        last = self._cache.last
        try:
            with self._source.tree(commit) as tree:
                return load(ChangedTree(tree, files), commit=Commit(""), cache=self._cache)
        finally:
            self._cache.last = last

    def _follow(self, outcome: PollResult) -> SourceState:
        match outcome:
            case Advanced(commit=commit):
                try:
                    self._apply(commit)
                except Refused as failure:  # more files than a gateway lists: the same at each attempt
                    self._source.reject(commit, failure)
                    return SourceState(good=False, reason=failure.reason, message=str(failure))
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
                good = reason == RepositoryInvalid.reason  # the fetch is good; `Valid` says what is wrong with it
                return SourceState(good, "Fetched" if good else reason, message, transient)

    def _apply(self, commit: Commit) -> None:
        """Enforce a new commit if it is valid."""
        desired, errors = self._load(commit)
        if desired is None:
            self._problems = tuple(str(problem) for problem in errors)
            self._rejected = commit
            self._source.reject(commit, RepositoryInvalid(f"commit {commit[:12]} has {len(errors)} mistakes"))
            if self._desired is None and self._state.applied is not None:
                self._resume(self._state.applied)
            return
        self._problems = ()
        self._desired = desired
        self._state.save_applied(commit)

    def _resume(self, commit: Commit) -> None:
        """Load the enforced commit after a restart, or another one that an operator accepted meanwhile."""
        if self._desired is None or self._desired.commit != commit:
            desired, errors = self._load(commit)
            self._desired = desired or self._desired
            if desired is None:
                self._problems = tuple(str(problem) for problem in errors)

    def _load(self, commit: Commit) -> tuple[Desired | None, tuple[Problem, ...]]:
        with self._source.tree(commit) as tree:
            loaded = load(tree, commit=commit, cache=self._cache)
        return loaded.desired, loaded.errors
