# SPDX-License-Identifier: Apache-2.0
"""From what contests, trainings and followed models want to what becomes of their branches, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.engine.followed.station import FollowedModels
from reconciler.engine.learned.proposals import LearnedProposals
from reconciler.engine.proposals.proposer import (
    LEARNED,
    TRAININGS,
    WantedProposal,
    learned_branch,
    training_branch,
)
from reconciler.engine.proposals.station import ProposalStation, ProposalWishes
from reconciler.engine.samples.contest_station import ContestStation, DecidedContest
from reconciler.engine.status.status_folder import evidence_path
from reconciler.engine.trainings.station import TrainingStation
from reconciler.git.proposal_outcomes import ProposalOutcome, Proposed
from reconciler.model import Candidate, ContestId, Desired, GatewayId, TrainingId
from reconciler.report.contest_figures import ContestFigures, contest_figures
from reconciler.report.contest_file import contest_file
from reconciler.report.contest_status import ContestStatus
from reconciler.report.proposal_message import EvidenceFile, ProposalCost
from reconciler.review.transfer_time import ReviewLine, device_s, line_of


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What a proposal was first made on. It says the same each time it is pushed: its evidence is published once."""

    successor: Candidate
    figures: ContestFigures
    evidence: EvidenceFile

    def support(self, successor: Candidate, figures: ContestFigures) -> bool:
        """Return whether this is about the same proposal: of this successor, in this round."""
        mine = (self.successor, self.figures.champion, self.figures.since)
        return mine == (successor, figures.champion, figures.since)


@dataclass(frozen=True, slots=True)
class ProposingStations:
    """The stations that decide what is proposed."""

    contests: ContestStation
    trainings: TrainingStation
    followed: FollowedModels
    learned: LearnedProposals


class ContestProposals:
    """Takes in what became of proposals before contests are decided, and has new ones made afterwards."""

    def __init__(self, name: GatewayId, stations: ProposingStations, proposals: ProposalStation) -> None:
        self._name = name
        self._contests, self._trainings = stations.contests, stations.trainings
        self._followed, self._learned = stations.followed, stations.learned
        self._proposals = proposals
        self._declined: frozenset[ContestId] = frozenset()  # recorded, and to be forgotten by the mirror
        self._grounds: Mapping[ContestId, _Grounds] = {}  # of the proposals that are due or open
        self._declined_models: frozenset[str] = frozenset()  # their branches
        self._branches: frozenset[TrainingId] = frozenset()  # of trainings, as far as it is known
        self._versions: frozenset[str] = frozenset()  # followed models with a branch, as far as it is known

    def settle(self, now: datetime) -> None:
        """Record what the last job found."""
        found = self._proposals.take()
        if found is not None:
            self._declined = self._contests.settle_proposals(found.outcomes, now, complete=found.complete)
            trained = {TrainingId(name): each for name, each in _below(TRAININGS, found.models).items()}
            learned = {ContestId(name): each for name, each in _below(LEARNED, found.models).items()}
            self._declined_models = frozenset(map(training_branch, self._trainings.settle(trained)))
            knowledge = self._contests.knowledge
            if knowledge is not None:
                declined = self._learned.settle(learned, knowledge, now, complete=found.complete)
                self._declined_models |= frozenset(map(learned_branch, declined))
            self._branches = frozenset(name for name, each in trained.items() if isinstance(each, Proposed))
            self._versions = frozenset(name for name, each in found.versions.items() if isinstance(each, Proposed))

    def keep(self, desired: Desired, statuses: Mapping[ContestId, ContestStatus], now: datetime) -> Mapping[str, bytes]:
        """Have the branches on the remote be what was decided. The statuses are those that this pass rendered.

        Return the evidence of new proposals, by path in the status branch. To be saved before anything is awaited: no
        proposal may name evidence that is nowhere.
        """
        decided = self._contests.decided
        models = (*self._trainings.wanted(), *self._learned.wanted)
        versions = self._followed.wanted(desired)
        if not (decided or models or self._followed.active or self._versions) or self._proposals.busy:
            return {}
        due = [each for each in self._contests.due if each.own.contest.name in statuses]
        before = self._grounds
        self._grounds = {each.own.contest.name: self._ground(each, statuses) for each in due}
        outdated = frozenset(each.own.contest.name for each in decided if each.decision.outdated)
        wanted = tuple(self._wanted(desired, each) for each in due)
        wishes = ProposalWishes(
            wanted,
            outdated - {each.contest.name for each in wanted},
            self._declined,
            models,
            frozenset(map(training_branch, self._trainings.unwanted(self._branches))) | self._learned.unwanted,
            self._declined_models,
            versions,
            self._versions - {each.ref.name for each in versions},
        )
        if self._proposals.has_work(desired, wishes):
            # Before the push: a round that begins with this champion must be known as proposed, whatever happens.
            self._contests.save_proposals(due, now)
            self._proposals.begin(desired, wishes, now)
        new = [each.evidence for name, each in self._grounds.items() if before.get(name) is not each]
        return {evidence.path: evidence.data for evidence in new}

    def _ground(self, decided: DecidedContest, statuses: Mapping[ContestId, ContestStatus]) -> _Grounds:
        contest, successor = decided.own.contest, decided.decision.successor
        assert successor is not None  # noqa: S101 - what is due has one
        figures = contest_figures(contest, decided.decision)
        known = self._grounds.get(contest.name)
        if known is not None and known.support(successor, figures):
            return known
        evidence = EvidenceFile(evidence_path(contest.name), contest_file(statuses[contest.name]))
        return _Grounds(successor, figures, evidence)

    def _wanted(self, desired: Desired, decided: DecidedContest) -> WantedProposal:
        contest = decided.own.contest
        grounds = self._grounds[contest.name]
        cost = self._cost(desired, decided, grounds.successor)
        return WantedProposal(contest, grounds.successor, grounds.figures, cost, grounds.evidence)

    def _cost(self, desired: Desired, decided: DecidedContest, successor: Candidate) -> ProposalCost:
        """Return what the successor costs a device, and how long that takes on the slowest line."""
        size = decided.facts.bytes_to_send.get(successor)
        if size is None:
            return ProposalCost(None)
        lines = {line_of(desired.devices[name], self._name) for name in decided.own.devices if name in desired.devices}
        timed = [(seconds, line) for line in lines if (seconds := device_s(line, size)) is not None]
        if not timed:
            return ProposalCost(size)
        seconds, slowest = max(timed)
        return ProposalCost(size, seconds, _place(slowest))


def _below(prefix: str, outcomes: Mapping[str, ProposalOutcome]) -> dict[str, ProposalOutcome]:
    """Return the outcomes of one kind of branch, by what follows the prefix."""
    return {name.removeprefix(prefix): each for name, each in outcomes.items() if name.startswith(prefix)}


def _place(line: ReviewLine) -> str:
    return f"at {line.baud} baud"
