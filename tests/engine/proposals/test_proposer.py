# SPDX-License-Identifier: Apache-2.0
"""What a gateway proposes is what every gateway accepts: the same repository, from the proposal to the check."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from reconciler.git.proposal_outcomes import AlreadyInForce, MergedProposal, NotPushed, Proposed
from reconciler.model import ProposalMode, RolloutId
from tests.engine.proposals.repository import EVIDENCE, PUMPS, Gateway, candidate
from tests.engine.test_commit_scope import ROLLOUT


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
        looked = gateway.proposer().look(desired)
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
        f"Evidence: status/north evidence/pumps.yaml sha256:{digest}",
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
