# SPDX-License-Identifier: Apache-2.0
"""What a gateway proposes is what every gateway accepts: the same repository, from the proposal to the check."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.desired.commit_scope import CommitScope
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.proposals.proposer import ContestProposer, WantedProposal
from reconciler.engine.state.writer import StateWriter
from reconciler.git.automation import AutomatedCommits
from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.mirror import Mirror
from reconciler.git.proposal_branches import ProposalBranches
from reconciler.git.proposal_outcomes import AlreadyInForce, MergedProposal, NotPushed, ProposalOutcome, Proposed
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource
from reconciler.load import CheckCache
from reconciler.model import (
    Candidate,
    ContestId,
    Desired,
    GatewayId,
    ModelRef,
    ProposalMode,
    RolloutId,
    Version,
)
from reconciler.report.contest_figures import ContestFigures, ContestLimits
from reconciler.report.proposal_message import EvidenceFile, ProposalCost
from tests.engine.test_commit_scope import CONTEST, PATH, ROLLOUT, fleet
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
NORTH, PUMPS = GatewayId("north"), ContestId("pumps")
EVIDENCE = EvidenceFile("contests/pumps.yaml", b"kind: ContestStatus\n")


def candidate(version: str = "2", threshold: float = 0.65) -> Candidate:
    return Candidate(ModelRef("forest", Version(version)), threshold)


@dataclass
class Gateway:
    """A gateway that follows main, and proposes."""

    forge: Forge
    source: DesiredStateSource
    branches: ProposalBranches
    ada: SshKey

    def poll(self) -> Desired:
        polled = self.source.poll()
        assert polled.source.good, polled.source.message
        assert polled.desired is not None
        return polled.desired

    def propose(self, desired: Desired, wanted: Candidate, *, direct: bool = False) -> ProposalOutcome:
        contest = desired.contests[PUMPS]
        figures = ContestFigures(
            PUMPS, RolloutId("pumps"), "forest@1 at 0.6", "Due", "TooManyFalsePositives", str(wanted), AT, None, 60, 1,
            20, 0, ContestLimits(5, 5, 1, 50, 20, 3), (), 0, (),
        )  # fmt: skip
        proposer = ContestProposer(NORTH, self.source, self.branches, direct=direct)
        return proposer.propose(desired, WantedProposal(contest, wanted, figures, ProposalCost(400), EVIDENCE), AT)

    def file(self, commit: str) -> str:
        shown = subprocess.run(
            ["git", "cat-file", "blob", f"{commit}:{PATH}"], cwd=self.forge.bare, check=True, capture_output=True
        )
        return shown.stdout.decode()

    def merge(self) -> str:
        self.forge.git("fetch", "--quiet", "origin")
        return self.forge.merge("origin/propose/north/pumps", key=self.ada)


@pytest.fixture
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    mode = getattr(request, "param", ProposalMode.BRANCH)
    ada, north = make_ssh_key(tmp_path, "ada"), make_ssh_key(tmp_path, "north")
    people, gateways = tmp_path / "people", tmp_path / "gateways"
    people.write_text(f"ada@example.org {ada.public}\n")
    gateways.write_text(f"north {north.public}\n")
    forge = make_forge(tmp_path / "forge")
    contest = CONTEST.replace("propose: branch", f"propose: {mode.value}")
    forge.commit({**fleet(), "contests/pumps.yaml": contest}, key=ada)
    policy = SignaturePolicy(SignatureMode.EVERY, people, automation=gateways)
    state = StateWriter(tmp_path / "state.db")
    cache = CheckCache()
    limits = GitLimits(ask_s=10, transfer_s=20, local_s=20, verify_s=30)
    with Mirror(tmp_path / "mirror", Remote(f"file://{forge.bare}"), limits) as mirror:
        automated = AutomatedCommits(mirror, CommitScope(cache), direct=mode is ProposalMode.DIRECT)
        source = CommitSource(mirror, policy, tmp_path / "signers", automated=automated)
        author = CommitAuthor("tinyfleet gateway north", "tinyfleet@north", north.path)
        branches = ProposalBranches(mirror, "north", author)
        yield Gateway(forge, DesiredStateSource(source, cache, state), branches, ada)
    state.close()


def test_a_proposal_is_merged_and_every_candidate_passes_the_check(gateway: Gateway) -> None:
    """Through all candidates in turn, back to the first: each merge is enforced."""
    desired = gateway.poll()
    for wanted in (candidate(), candidate("1", 0.65), candidate("2", 0.55), candidate("2", 0.6), candidate("1", 0.6)):
        made = gateway.propose(desired, wanted)
        assert isinstance(made, Proposed)
        merge = gateway.merge()
        desired = gateway.poll()
        assert desired.commit == merge
        rollout = desired.rollouts[RolloutId("pumps")]
        assert (rollout.model, rollout.parameters["threshold"]) == (wanted.model, wanted.threshold)
        assert gateway.propose(desired, wanted) == AlreadyInForce()
        looked = ContestProposer(NORTH, gateway.source, gateway.branches).look(desired)
        assert looked in ({}, {PUMPS: MergedProposal(made.commit, str(wanted))})
    assert gateway.file(desired.commit) == ROLLOUT


def test_only_the_values_change_in_the_file(gateway: Gateway) -> None:
    made = gateway.propose(gateway.poll(), candidate())
    assert isinstance(made, Proposed)
    assert gateway.file(made.commit) == ROLLOUT.replace('"1"', '"2"').replace("0.6,", "0.65,")
    message = gateway.forge.git("show", "--no-patch", "--format=%B", made.commit, cwd=gateway.forge.bare)
    digest = hashlib.sha256(EVIDENCE.data).hexdigest()
    assert message.splitlines()[0] == "pumps: replace forest@1 at 0.6 by forest@2 at 0.65"
    assert message.split("\n\n")[-1].splitlines() == [
        "Contest: pumps",
        "Round: 2026-11-29T12:00:00Z",
        f"Evidence: status/north contests/pumps.yaml sha256:{digest}",
        "Proposes: forest@2 at 0.65",
    ]


@pytest.mark.parametrize("gateway", [ProposalMode.DIRECT], indirect=True)
def test_a_direct_commit_is_enforced_without_a_person(gateway: Gateway) -> None:
    made = gateway.propose(gateway.poll(), candidate(), direct=True)
    assert isinstance(made, Proposed)
    assert gateway.poll().commit == made.commit
    assert gateway.forge.git("for-each-ref", "--format=%(refname)", cwd=gateway.forge.bare) == "refs/heads/main"


@pytest.mark.parametrize(
    ("gateway", "direct"), [(ProposalMode.DIRECT, False), (ProposalMode.BRANCH, True)], indirect=["gateway"]
)
def test_without_both_switches_there_is_a_branch(gateway: Gateway, direct: bool) -> None:  # noqa: FBT001 - a parameter
    desired = gateway.poll()
    assert isinstance(gateway.propose(desired, candidate(), direct=direct), Proposed)
    assert gateway.poll().commit == desired.commit
    assert "propose/north/pumps" in gateway.forge.git("for-each-ref", cwd=gateway.forge.bare)


def test_a_rollout_whose_file_is_gone_is_reported(gateway: Gateway) -> None:
    desired = gateway.poll()
    renamed = replace(desired.rollouts[RolloutId("pumps")], name=RolloutId("fans"))
    contest = replace(desired.contests[PUMPS], rollout=renamed.name)
    other = replace(desired, rollouts={renamed.name: renamed}, contests={PUMPS: contest})
    outcome = gateway.propose(other, candidate())
    assert isinstance(outcome, NotPushed)
    assert (outcome.reason, "has the rollout fans" in outcome.message) == ("NotProposable", True)
