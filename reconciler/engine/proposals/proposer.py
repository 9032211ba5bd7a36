# SPDX-License-Identifier: Apache-2.0
"""Makes the proposal of one contest, training or followed model.

A champion is proposed on a branch, or directly where Git and the gateway's configuration allow it; new models always on
a branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.proposals.champion_change import champion_change
from reconciler.engine.proposals.version_change import WantedVersion, version_change
from reconciler.errors import FleetError, Transient
from reconciler.git.commit_writer import CommitMessage
from reconciler.git.proposal_branches import ProposalBranches
from reconciler.git.proposal_outcomes import Edit, NotPushed, Proposal, ProposalOutcome
from reconciler.model import Candidate, Contest, ContestId, Desired, GatewayId, ModelRef, ProposalMode, TrainingId
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.proposal_message import EvidenceFile, ProposalCost, proposal_message


@dataclass(frozen=True, slots=True)
class WantedProposal:
    """What a contest wants to propose, and why."""

    contest: Contest
    candidate: Candidate
    figures: ContestFigures
    cost: ProposalCost
    evidence: EvidenceFile
    again: bool = False  # a person asks for it although it was declined


@dataclass(frozen=True, slots=True)
class WantedModels:
    """New versions of a model that a training has made, or a device has grown, as files."""

    branch: str  # below `propose/<gateway>/`
    models: tuple[ModelRef, ...]  # the best first
    files: Mapping[str, bytes]  # by path inside the fleet's folder
    message: str

    @property
    def target(self) -> str:
        """What the proposal would bring about, in one line."""
        return models_target(self.models)


TRAININGS, LEARNED = "training_", "learned_"  # names of documents have no underscore: no contest has such a branch
_VERSIONS, _CHANGES = "model_", "change_"


def models_target(models: Iterable[ModelRef]) -> str:
    """Return how a proposal names the models that it adds."""
    return f"models {', '.join(map(str, models))}"


def training_branch(training: TrainingId) -> str:
    """Return the name of a training's branch below `propose/<gateway>/`."""
    return f"{TRAININGS}{training}"


def learned_branch(contest: ContestId) -> str:
    """Return the name of the branch with a forest that a device of a contest has grown."""
    return f"{LEARNED}{contest}"


def change_branch(kind: str, name: str) -> str:
    """Return the name of the branch with what a client wishes for in a document."""
    return f"{_CHANGES}{kind.lower()}_{name}"


def version_branch(model: str) -> str:
    """Return the name of a followed model's branch below `propose/<gateway>/`."""
    return f"{_VERSIONS}{model}"


@dataclass(frozen=True, slots=True)
class ProposalOutcomes:
    """What became of the proposals that were made."""

    contests: Mapping[ContestId, ProposalOutcome]
    models: Mapping[str, ProposalOutcome]  # by branch
    versions: Mapping[str, ProposalOutcome]  # by the name of the followed model


class ContestProposer:
    """The proposals of this gateway. For the Git thread."""

    def __init__(
        self, name: GatewayId, source: DesiredStateSource, branches: ProposalBranches, *, direct: bool = False
    ) -> None:
        self._name = name
        self._source = source
        self._branches = branches
        self._direct = direct

    def look(self, desired: Desired) -> ProposalOutcomes | NotPushed:
        """Return what became of the proposals that were made; branches of merged ones are deleted."""
        found = self._branches.look(desired.commit)
        if isinstance(found, NotPushed):
            return found
        models = {name for name in found if name.startswith((TRAININGS, LEARNED))}
        followed = {name for name in found if name.startswith(_VERSIONS)}
        changes = {name for name in found if name.startswith(_CHANGES)}
        return ProposalOutcomes(
            {ContestId(name): outcome for name, outcome in found.items() if name not in models | followed | changes},
            {name: found[name] for name in models},
            {name.removeprefix(_VERSIONS): found[name] for name in followed},
        )

    def propose(self, desired: Desired, wanted: WantedProposal, at: datetime) -> ProposalOutcome:
        """Propose a candidate on the commit that is enforced."""
        contest = wanted.contest
        message = proposal_message(wanted.figures, self._name, wanted.cost, wanted.evidence)
        try:
            with self._source.tree(desired.commit) as tree:
                edits = champion_change(tree, desired, desired.rollouts[contest.rollout], wanted.candidate)
        except FleetError as failure:
            return NotPushed(failure.reason, str(failure), isinstance(failure, Transient))
        proposal = Proposal(contest.name, str(wanted.candidate), edits, CommitMessage(message, at))
        if self._direct and contest.propose is ProposalMode.DIRECT:
            return self._branches.commit_directly(desired.commit, proposal)
        return self._branches.propose(desired.commit, proposal, again=wanted.again)

    def propose_models(self, desired: Desired, wanted: WantedModels, at: datetime) -> ProposalOutcome:
        """Propose models on the commit that is enforced."""
        edits = {path: partial(_as_made, data) for path, data in wanted.files.items()}
        message = CommitMessage(wanted.message, at)
        return self._branches.propose(desired.commit, Proposal(wanted.branch, wanted.target, edits, message))

    def propose_version(self, desired: Desired, wanted: WantedVersion, at: datetime) -> ProposalOutcome:
        """Propose a version of a followed model on the commit that is enforced."""
        try:
            with self._source.tree(desired.commit) as tree:
                edits = version_change(tree, desired, wanted)
        except FleetError as failure:
            return NotPushed(failure.reason, str(failure), isinstance(failure, Transient))
        proposal = Proposal(version_branch(wanted.ref.name), wanted.target, edits, CommitMessage(wanted.message, at))
        return self._branches.propose(desired.commit, proposal)

    def propose_change(
        self, desired: Desired, branch: str, target: str, edits: Mapping[str, Edit], at: datetime
    ) -> ProposalOutcome:
        """Propose what a client wishes for on the commit that is enforced."""
        message = CommitMessage(f"{target}\n\nA client of the gateway {self._name} wishes for this.\n", at)
        return self._branches.propose(desired.commit, Proposal(branch, target, edits, message))

    def withdraw_version(self, model: str) -> ProposalOutcome | None:
        """Delete a proposal of a version that is no longer wanted."""
        return self._branches.withdraw(version_branch(model))

    def forget_models(self, branch: str) -> None:
        """Forget models that were declined: others may be proposed."""
        self._branches.forget(branch)

    def withdraw_models(self, branch: str) -> ProposalOutcome | None:
        """Delete a proposal of models that is no longer wanted."""
        return self._branches.withdraw(branch)

    def forget(self, contest: ContestId) -> None:
        """Forget a proposal that was declined, so that it may be made again in another round."""
        self._branches.forget(contest)

    def withdraw(self, contest: ContestId) -> ProposalOutcome | None:
        """Delete a proposal that is no longer wanted."""
        return self._branches.withdraw(contest)


def _as_made(data: bytes, _before: bytes | None) -> bytes:
    """Return what was made, whatever the file was before."""
    return data
