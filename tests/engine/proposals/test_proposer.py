# SPDX-License-Identifier: Apache-2.0
"""What a gateway proposes is what every gateway accepts: the same repository, from the proposal to the check."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from reconciler.engine.proposals.proposer import ProposalOutcomes, WantedModels
from reconciler.git.proposal_outcomes import AlreadyInForce, DeclinedProposal, MergedProposal, NotPushed, Proposed
from reconciler.model import ModelRef, ProposalMode, RolloutId, Version
from tests.engine.proposals.repository import AT, EVIDENCE, PUMPS, Gateway, candidate
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
        assert isinstance(looked, ProposalOutcomes)
        assert looked.contests in ({}, {PUMPS: MergedProposal(made.commit, str(wanted))})
        assert looked.models == {}
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


TRAINING = """\
apiVersion: tinyfleet/v1alpha1
kind: Training
metadata: {name: nightly}
spec:
  contest: pumps
  model: forest
  try: [{method: isolation-forest}]
"""
TRAINED = ModelRef("forest", Version("20261129-01234567"))
FOLDER = "models/forest/20261129-01234567"


def trained(*, field: str = "") -> WantedModels:
    """Return models as a training proposes them, or with one more field."""
    pack = b"pack"
    document = (
        "apiVersion: tinyfleet/v1alpha1\nkind: Model\nmetadata: {name: forest}\nspec:\n"
        f"  version: '{TRAINED.version}'\n"
        f"  source: {{path: {FOLDER}/model.pack, sha256: '{hashlib.sha256(pack).hexdigest()}'}}\n"
        f"  parameters: {{threshold: 0.61, sample-every: 0}}\n{field}"
    )
    files = {f"{FOLDER}/model.pack": pack, f"{FOLDER}/model.yaml": document.encode()}
    return WantedModels("training_nightly", (TRAINED,), files, "forest: add a version trained by nightly")


def with_training(gateway: Gateway) -> None:
    types = gateway.forge.git("show", "HEAD:types.yaml").replace("[CONV_2D]", "[CONV_2D, TREE_ENSEMBLE]")
    gateway.forge.commit({"training.yaml": TRAINING, "types.yaml": types}, key=gateway.ada)


def test_models_of_a_training_are_merged_next_to_a_proposal_of_its_contest(gateway: Gateway) -> None:
    with_training(gateway)
    desired, proposer = gateway.poll(), gateway.proposer()
    assert isinstance(gateway.propose(desired, candidate()), Proposed)
    made = proposer.propose_models(desired, trained(), AT)
    assert isinstance(made, Proposed)
    assert proposer.propose_models(desired, trained(), AT) == Proposed(made.commit, made.target)
    looked = proposer.look(desired)
    assert isinstance(looked, ProposalOutcomes)
    assert set(looked.contests) == {PUMPS}
    assert set(looked.models) == {"training_nightly"}
    gateway.forge.git("fetch", "--quiet", "origin")
    merge = gateway.forge.merge("origin/propose/north/training_nightly", key=gateway.ada)
    desired = gateway.poll()
    assert desired.commit == merge
    assert TRAINED in desired.models
    assert proposer.propose_models(desired, trained(), AT) == AlreadyInForce()
    looked = proposer.look(desired)
    assert isinstance(looked, ProposalOutcomes)
    assert looked.models in ({}, {"training_nightly": MergedProposal(made.commit, made.target)})


def test_models_that_were_declined_or_are_not_wanted_leave_no_branch(gateway: Gateway) -> None:
    with_training(gateway)
    desired, proposer = gateway.poll(), gateway.proposer()
    assert isinstance(proposer.propose_models(desired, trained(), AT), Proposed)
    assert proposer.withdraw_models("training_nightly") is None
    assert "training_nightly" not in gateway.forge.git("for-each-ref", cwd=gateway.forge.bare)
    made = proposer.propose_models(desired, trained(), AT)
    assert isinstance(made, Proposed)
    gateway.forge.git("push", "--quiet", "origin", ":propose/north/training_nightly")
    assert proposer.propose_models(desired, trained(), AT) == DeclinedProposal(made.commit, made.target)
    proposer.forget_models("training_nightly")
    assert isinstance(proposer.propose_models(desired, trained(), AT), Proposed)


def test_a_stolen_key_adds_no_model_that_a_training_would_not_make(gateway: Gateway) -> None:
    with_training(gateway)
    desired = gateway.poll()
    made = gateway.proposer().propose_models(desired, trained(field="  poolOnly: true\n"), AT)
    assert isinstance(made, Proposed)
    gateway.forge.git("fetch", "--quiet", "origin")
    gateway.forge.merge("origin/propose/north/training_nightly", key=gateway.ada)
    polled = gateway.source.poll()
    assert polled.source.reason == "OutOfScope"
    assert "with fields that no training and no registry sets" in polled.source.message
