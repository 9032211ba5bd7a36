# SPDX-License-Identifier: Apache-2.0
"""From what contests decide to what becomes of their branches, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.engine.proposals.proposer import WantedProposal
from reconciler.engine.proposals.station import ProposalStation, ProposalWishes
from reconciler.engine.samples.contest_station import ContestStation, DecidedContest
from reconciler.model import Candidate, ContestId, Desired, GatewayId
from reconciler.report.contest_figures import contest_figures
from reconciler.report.contest_file import contest_file
from reconciler.report.contest_status import ContestStatus
from reconciler.report.proposal_message import EvidenceFile, ProposalCost
from reconciler.review.transfer_time import ReviewLine, device_s, line_of


class ContestProposals:
    """Takes in what became of proposals before contests are decided, and has new ones made afterwards."""

    def __init__(self, name: GatewayId, contests: ContestStation, proposals: ProposalStation) -> None:
        self._name = name
        self._contests = contests
        self._proposals = proposals
        self._declined: frozenset[ContestId] = frozenset()  # recorded, and to be forgotten by the mirror

    def settle(self, now: datetime) -> None:
        """Record what the last job found."""
        found = self._proposals.take()
        if found is not None:
            self._declined = self._contests.settle_proposals(found.outcomes, now, complete=found.complete)

    def keep(self, desired: Desired, statuses: Mapping[ContestId, ContestStatus], now: datetime) -> None:
        """Have the branches on the remote be what was decided. The statuses, with the evidence, are rendered."""
        decided = self._contests.decided
        if not decided or self._proposals.busy:
            return
        due = [each for each in self._contests.due if each.own.contest.name in statuses]
        outdated = frozenset(each.own.contest.name for each in decided if each.decision.outdated)
        wanted = tuple(self._wanted(desired, each, statuses) for each in due)
        wishes = ProposalWishes(wanted, outdated - {each.contest.name for each in wanted}, self._declined)
        if self._proposals.has_work(desired, wishes):
            # Before the push: a round that begins with this champion must be known as proposed, whatever happens.
            self._contests.save_proposals(due, now)
            self._proposals.begin(desired, wishes, now)

    def _wanted(
        self, desired: Desired, decided: DecidedContest, statuses: Mapping[ContestId, ContestStatus]
    ) -> WantedProposal:
        contest, successor = decided.own.contest, decided.decision.successor
        assert successor is not None  # noqa: S101 - what is due has one
        evidence = EvidenceFile(f"contests/{contest.name}.yaml", contest_file(statuses[contest.name]))
        figures = contest_figures(contest, decided.decision)
        return WantedProposal(contest, successor, figures, self._cost(desired, decided, successor), evidence)

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


def _place(line: ReviewLine) -> str:
    return f"at {line.baud} baud"
