# SPDX-License-Identifier: Apache-2.0
"""Keeps the branches of proposals as contests, trainings and followed models want them: one job at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from reconciler.engine.proposals.proposer import ContestProposer, WantedModels, WantedProposal
from reconciler.engine.proposals.version_change import WantedVersion
from reconciler.git.proposal_outcomes import NotPushed, ProposalOutcome, Proposed
from reconciler.model import Commit, ContestId, Desired

log = logging.getLogger(__name__)

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class ProposalWishes:
    """What is to become of the branches."""

    wanted: tuple[WantedProposal, ...] = ()
    unwanted: frozenset[ContestId] = frozenset()  # whose open proposal is outdated
    settled: frozenset[ContestId] = frozenset()  # whose declined proposal is recorded elsewhere
    models: tuple[WantedModels, ...] = ()
    unwanted_models: frozenset[str] = frozenset()  # branches
    settled_models: frozenset[str] = frozenset()
    versions: tuple[WantedVersion, ...] = ()
    unwanted_versions: frozenset[str] = frozenset()  # names of models

    @property
    def outline(self) -> object:
        """Return what decides whether there is something new to do."""
        targets = frozenset((each.contest.name, each.contest.propose, each.candidate) for each in self.wanted)
        models = frozenset((each.branch, each.target) for each in self.models)
        versions = frozenset((each.target, each.rollouts) for each in self.versions)
        kept = (self.unwanted, self.settled, self.unwanted_models, self.settled_models, self.unwanted_versions)
        return targets, models, versions, kept


@dataclass(frozen=True, slots=True)
class ProposalFindings:
    """What a job found."""

    outcomes: Mapping[ContestId, ProposalOutcome]
    complete: bool  # a contest without an outcome has no branch, and had none; False: the remote could not be read
    models: Mapping[str, ProposalOutcome] = field(default_factory=dict)  # by branch
    versions: Mapping[str, ProposalOutcome] = field(default_factory=dict)  # by the name of the model


class ProposalStation:
    """Looks at the proposals after each poll of Git, and makes those that are due."""

    def __init__(self, proposer: ContestProposer | None, git_thread: Executor, wake: Callable[[], None]) -> None:
        self._proposer = proposer
        self._git_thread = git_thread
        self._wake = wake
        self._task: asyncio.Task[None] | None = None
        self._found: ProposalFindings | None = None
        self._logged: Mapping[str, ProposalOutcome] = {}
        self._done: tuple[Commit, object] | None = None

    @property
    def busy(self) -> bool:
        """Return whether a job runs, or what it found was not taken yet."""
        return self._task is not None or self._found is not None

    def git_polled(self) -> None:
        """Have the next pass look again: a person may have merged or closed something."""
        self._done = None

    def take(self) -> ProposalFindings | None:
        """Return what the last job found, once."""
        found, self._found = self._found, None
        return found

    def has_work(self, desired: Desired, wishes: ProposalWishes) -> bool:
        """Return whether there is something to do: after a poll of Git, for another commit, or for other wishes."""
        return not self.busy and self._done != (desired.commit, wishes.outline)

    def begin(self, desired: Desired, wishes: ProposalWishes, now: datetime) -> None:
        """Begin the job."""
        self._done = (desired.commit, wishes.outline)
        if self._proposer is None:
            self._end(_refused(wishes, _without_key()))
        else:
            run = self._run(self._proposer, desired, wishes, now)
            self._task = asyncio.get_running_loop().create_task(run, name="proposals")

    async def stop(self) -> None:
        """Wait for the job in the Git thread, so that a push that has begun is known to the mirror."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self, proposer: ContestProposer, desired: Desired, wishes: ProposalWishes, now: datetime) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._end(await loop.run_in_executor(self._git_thread, _work, proposer, desired, wishes, now))
        finally:
            self._task = None

    def _end(self, found: ProposalFindings) -> None:
        known = {
            **{f"contest {name}": outcome for name, outcome in found.outcomes.items()},
            **{f"branch {name}": outcome for name, outcome in found.models.items()},
            **{f"model {name}": outcome for name, outcome in found.versions.items()},
        }
        news = {name: outcome for name, outcome in known.items() if self._logged.get(name) != outcome}
        self._logged = known
        self._found = found
        _log(news)
        self._wake()


def _work(proposer: ContestProposer, desired: Desired, wishes: ProposalWishes, now: datetime) -> ProposalFindings:
    for name in sorted(wishes.settled):
        proposer.forget(name)
    for branch in sorted(wishes.settled_models):
        proposer.forget_models(branch)
    seen = proposer.look(desired)
    if isinstance(seen, NotPushed):
        return _refused(wishes, seen)
    found, models = dict(seen.contests), dict(seen.models)
    for wanted in wishes.wanted:
        found[wanted.contest.name] = proposer.propose(desired, wanted, now)
    _withdraw(wishes.unwanted, proposer.withdraw, found)
    for each in wishes.models:
        models[each.branch] = proposer.propose_models(desired, each, now)
    _withdraw(wishes.unwanted_models, proposer.withdraw_models, models)
    versions = dict(seen.versions)
    for version in wishes.versions:
        versions[version.ref.name] = proposer.propose_version(desired, version, now)
    _withdraw(wishes.unwanted_versions, proposer.withdraw_version, versions)
    return ProposalFindings(found, complete=True, models=models, versions=versions)


def _withdraw(
    names: Iterable[Name], withdraw: Callable[[Name], ProposalOutcome | None], found: dict[Name, ProposalOutcome]
) -> None:
    """Withdraw proposals that are no longer wanted, and keep the outcome of those that could not be."""
    for name in sorted(names):
        failure = withdraw(name)
        if failure is None:
            found.pop(name, None)
        else:
            found[name] = failure


def _refused(wishes: ProposalWishes, why: NotPushed) -> ProposalFindings:
    """Return that nothing that is wanted could be done."""
    return ProposalFindings(
        {each.contest.name: why for each in wishes.wanted},
        complete=False,
        models={each.branch: why for each in wishes.models},
        versions={each.ref.name: why for each in wishes.versions},
    )


def _without_key() -> NotPushed:
    return NotPushed("NotConfigured", "gateway.toml has no `[automation] key` that signs proposals", transient=False)


def _log(outcomes: Mapping[str, ProposalOutcome]) -> None:
    for name, outcome in outcomes.items():
        match outcome:
            case Proposed(commit=commit, target=target, new=True):
                log.info("%s proposes %s in commit %s", name, target, commit[:12])
            case NotPushed(reason=reason, message=message):
                log.warning("%s: %s", name, message, extra={"reason": reason})
            case _:
                log.info("%s: %s", name, type(outcome).__name__)
