# SPDX-License-Identifier: Apache-2.0
"""Forests that devices have grown, as voters and as proposals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.contest.evidence import CandidateComparison
from reconciler.engine.desired.gateway_scope import GatewayScope, ScopeResolver
from reconciler.engine.learned.proposals import LearnedProposals
from reconciler.engine.samples.local_models import local_ref
from reconciler.engine.samples.own_contests import ContestResolver, OwnContest
from reconciler.git.proposal_outcomes import DeclinedProposal, MergedProposal, NotPushed, Proposed
from reconciler.knowledge.records import LearnedForest
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import (
    Candidate,
    Commit,
    Desired,
    DeviceId,
    Digest,
    LearnSpec,
    Model,
    ModelPool,
    ModelSource,
    ProposalMode,
    ReplacementRules,
)
from tests.engine.reports import NOON
from tests.engine.samples.test_own_contests import FLEET, NAME, NORTH, desired
from tests.firmware.learning import starter_pack
from tests.plan.example_fleet import EVERYWHERE, V2

COMMIT = Commit("c" * 40)
RULES = ReplacementRules(decided=5, normals=1)
STARTER = Model(
    V2,
    ModelSource(Digest("0" * 64), path="data.csv"),
    learn=LearnSpec(),
    parameters={"threshold": 0.6, "sample-every": 3},
)
GOOD, BAD = (CandidateComparison(0, 50, 20, 1000, alarms, 0, 10, 0) for alarms in (2, 10))


def forest(seed: int, device: str = "d001") -> LearnedForest:
    digests = (Digest("1" * 64), seed, bytes([seed]) * 32)
    return LearnedForest(DeviceId(device), NAME, V2, *digests, 600, 3, starter_pack(threshold=0.6), NOON)


def with_local(*, local: bool = True, **changes: Any) -> Desired:  # noqa: ANN401 - fields of a contest
    base = desired(NORTH, replace(FLEET, models={**FLEET.models, V2: STARTER}))
    contest = replace(base.contests[NAME], pool=ModelPool(quorum=1, local=local), replace=RULES, **changes)
    return replace(base, contests={NAME: contest})


def resolved(wanted: Desired, *learned: LearnedForest) -> OwnContest:
    scope = ScopeResolver(NORTH).resolve(wanted)
    assert isinstance(scope, GatewayScope)
    return ContestResolver(NORTH).resolve(wanted, scope, learned).by_name[NAME]


def test_it_votes_with_the_threshold_in_force_and_is_no_candidate() -> None:
    strict = replace(EVERYWHERE, parameters={"threshold": 0.7})
    wanted = replace(with_local(), rollouts={strict.name: strict})
    own = resolved(wanted, forest(1))
    mine = Candidate(local_ref(forest(1)), 0.7)
    assert [each.candidate for each in own.local] == [mine]
    assert mine in own.voters
    assert mine not in own.candidates
    assert mine.model in own.thresholds


def test_only_the_devices_of_the_contest_vote_and_only_if_it_wants_them() -> None:
    assert resolved(with_local(), forest(1, "d003")).local == ()
    assert resolved(with_local(local=False), forest(1)).local == ()


def test_a_forest_that_is_in_git_is_a_model_like_any_other() -> None:
    wanted = with_local()
    ref = local_ref(forest(1))
    merged = replace(wanted, models={**wanted.models, ref: replace(STARTER, ref=ref, learn=None)})
    own = resolved(merged, forest(1))
    assert own.local == ()
    assert ref in {each.model for each in own.candidates}


# ------------------------------------------------------------------ proposals


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[KnowledgeWriter]:
    opened = KnowledgeWriter(tmp_path / "knowledge.db")
    yield opened
    opened.close()


def compared(**by_seed: CandidateComparison) -> Mapping[Candidate, CandidateComparison]:
    return {Candidate(local_ref(forest(int(seed[1:]))), 0.6): found for seed, found in by_seed.items()}


def test_a_forest_that_does_better_is_proposed_with_its_provenance_and_without_rows(knowledge: KnowledgeWriter) -> None:
    wanted, proposals = with_local(), LearnedProposals(NORTH)
    proposals.decide(resolved(wanted, forest(1)), compared(s1=GOOD), wanted, knowledge)
    (made,) = proposals.wanted
    ref = local_ref(forest(1))
    folder = f"models/{ref.name}/{ref.version}"
    assert (made.branch, made.models) == (f"learned_{NAME}", (ref,))
    assert set(made.files) == {f"{folder}/model.pack", f"{folder}/model.yaml", f"{folder}/provenance.json"}
    document = yaml.load(made.files[f"{folder}/model.yaml"], yaml.CSafeLoader)
    assert document["spec"]["parameters"] == {"threshold": 0.6, "sample-every": 3}
    provenance = json.loads(made.files[f"{folder}/provenance.json"])
    assert (provenance["device"], provenance["rows"]["grownFrom"]) == ("d001", 600)
    assert "Device: d001" in made.message


@pytest.mark.parametrize(
    "wanted", [with_local(suspend=True), with_local(propose=ProposalMode.NEVER)], ids=["suspended", "never"]
)
def test_nothing_is_proposed_against_the_rules(knowledge: KnowledgeWriter, wanted: Desired) -> None:
    proposals = LearnedProposals(NORTH)
    proposals.decide(resolved(wanted, forest(1)), compared(s1=GOOD), wanted, knowledge)
    assert proposals.wanted == ()


def test_one_that_does_no_better_is_not_proposed_and_its_branch_is_removed(knowledge: KnowledgeWriter) -> None:
    wanted, proposals = with_local(), LearnedProposals(NORTH)
    own = resolved(wanted, forest(1))
    proposals.settle({NAME: Proposed(COMMIT, "models any")}, knowledge, NOON, complete=True)
    assert proposals.unwanted == frozenset()  # nothing was decided since the start
    proposals.keep_only({NAME: own})
    assert proposals.unwanted == frozenset()
    proposals.decide(own, compared(s1=BAD), wanted, knowledge)
    assert proposals.wanted == ()
    assert proposals.unwanted == {f"learned_{NAME}"}


def test_an_open_proposal_stays_although_another_forest_does_better(knowledge: KnowledgeWriter) -> None:
    wanted, proposals = with_local(), LearnedProposals(NORTH)
    better = replace(GOOD, false_alarms=0)
    proposals.decide(resolved(wanted, forest(1)), compared(s1=GOOD), wanted, knowledge)
    (first,) = proposals.wanted
    proposals.settle({NAME: Proposed(COMMIT, first.target)}, knowledge, NOON, complete=True)
    both = resolved(wanted, forest(1), forest(2, "d002"))
    proposals.decide(both, compared(s1=GOOD, s2=better), wanted, knowledge)
    assert proposals.wanted == (first,)
    proposals.settle({NAME: MergedProposal(COMMIT, first.target)}, knowledge, NOON, complete=True)
    proposals.decide(both, compared(s1=GOOD, s2=better), wanted, knowledge)
    assert proposals.wanted[0].models == (local_ref(forest(2)),)


def test_what_people_declined_is_not_proposed_again(knowledge: KnowledgeWriter) -> None:
    wanted, proposals = with_local(), LearnedProposals(NORTH)
    own = resolved(wanted, forest(1))
    proposals.decide(own, compared(s1=GOOD), wanted, knowledge)
    (made,) = proposals.wanted
    assert proposals.settle({NAME: DeclinedProposal(COMMIT, made.target)}, knowledge, NOON, complete=True) == {NAME}
    again = LearnedProposals(NORTH)
    again.decide(own, compared(s1=GOOD), wanted, knowledge)
    assert again.wanted == ()


def test_what_is_not_on_the_remote_is_said(knowledge: KnowledgeWriter) -> None:
    wanted, proposals = with_local(), LearnedProposals(NORTH)
    proposals.decide(resolved(wanted, forest(1)), compared(s1=GOOD), wanted, knowledge)
    proposals.settle({NAME: NotPushed("NoKey", "no key", transient=False)}, knowledge, NOON, complete=False)
    assert proposals.trouble_of(NAME) == "no key"
    assert proposals.target_of(NAME) == ""
    assert len(proposals.wanted) == 1
