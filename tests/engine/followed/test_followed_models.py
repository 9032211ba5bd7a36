# SPDX-License-Identifier: Apache-2.0
"""A model follows an alias of a recorded MLflow server: one commit for each new file, and none otherwise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.engine.followed.station import CHECK_EVERY_S
from reconciler.engine.proposals.proposer import ProposalOutcomes
from reconciler.engine.proposals.station import ProposalStation, ProposalWishes
from reconciler.git.proposal_outcomes import DeclinedProposal, MergedProposal, Proposed, TakenOver
from reconciler.model import ModelRef, RolloutId, Version
from tests.engine.followed.followed_plant import BRANCH, ROLLOUT, SECOND, FollowedPlant, followed_plant
from tests.engine.proposals.repository import AT


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[FollowedPlant]:
    with followed_plant(tmp_path) as made:
        yield made


def test_an_alias_that_does_not_move_makes_no_commit_and_fetches_nothing(plant: FollowedPlant) -> None:
    before = plant.commits()
    for _ in range(5):
        assert plant.followed.wanted(plant.look()) == ()
    assert plant.commits() == before
    assert {path.partition("?")[0] for path in plant.registry.requests} == {"/api/2.0/mlflow/registered-models/alias"}
    assert len(plant.registry.requests) == 5


def test_a_new_version_is_one_commit_that_a_person_merges(plant: FollowedPlant) -> None:
    plant.look()
    plant.registry.moved = True
    made = plant.propose()
    assert isinstance(made, Proposed)
    assert made.new
    after = plant.commits()
    for _ in range(3):
        assert plant.propose() == Proposed(made.commit, made.target)
    assert plant.commits() == after

    message = plant.shown(made.commit).split("diff --git")[0]
    assert "fans: pump@1.0 -> pump@mlflow-2 on 1 device" in message
    assert f"mlflow://{plant.host}/pump-vibration/2/model.tflite" in message
    assert plant.shown(f"{made.commit}:rollouts/fans.yaml") + "\n" == ROLLOUT.replace("'1.0'", "'mlflow-2'")

    merge = plant.merge()
    desired = plant.look()
    assert desired.commit == merge, "the commit is in the scope of the gateway"
    added, base = (
        desired.models[ModelRef("pump", Version("mlflow-2"))],
        desired.models[ModelRef("pump", Version("1.0"))],
    )
    assert (added.gates, added.labels, added.follow) == (base.gates, base.labels, base.follow)
    assert added.source.sha256 == hashlib.sha256(SECOND).hexdigest()
    assert desired.rollouts[RolloutId("fans")].model == added.ref
    assert plant.followed.wanted(desired) == ()
    looked = plant.gateway.proposer().look(desired)
    assert isinstance(looked, ProposalOutcomes)
    assert looked.versions == {"pump": MergedProposal(made.commit, made.target)}
    assert not [line for line in plant.commits() if BRANCH in line]


def test_an_alias_that_moves_back_proposes_nothing(plant: FollowedPlant) -> None:
    plant.registry.moved = True
    plant.propose()
    plant.merge()
    plant.registry.moved = False
    assert plant.followed.wanted(plant.look()) == ()


def test_what_a_person_declined_is_not_proposed_again(plant: FollowedPlant) -> None:
    plant.registry.moved = True
    made = plant.propose()
    assert isinstance(made, Proposed)
    plant.gateway.forge.git("push", "--quiet", str(plant.gateway.forge.bare), f":{BRANCH}")
    assert plant.propose() == DeclinedProposal(made.commit, made.target)


def test_a_registry_that_does_not_answer_is_named_and_asked_again(plant: FollowedPlant) -> None:
    plant.registry.moved = True
    plant.registry.down = True
    assert plant.followed.wanted(plant.look()) == ()
    assert "answered 503" in plant.followed.troubles["pump"]
    plant.registry.down = False
    assert len(plant.followed.wanted(plant.look())) == 1
    assert plant.followed.troubles == {}


def test_the_next_check_is_due_in_time(plant: FollowedPlant) -> None:
    assert plant.followed.next_check_in_s() is None
    plant.look()
    assert plant.followed.next_check_in_s() == 0.0
    assert CHECK_EVERY_S * 2 <= 60, "alias_to_proposal_s has to hold with one check missed"


def test_the_station_makes_the_proposal_and_withdraws_it(plant: FollowedPlant) -> None:
    plant.registry.moved = True
    desired = plant.look()
    wanted = plant.followed.wanted(desired)

    async def run(wishes: ProposalWishes) -> object:
        with ThreadPoolExecutor(1) as git_thread:
            station = ProposalStation(plant.gateway.proposer(), git_thread, lambda: None)
            station.begin(desired, wishes, AT)
            await station.stop()
        found = station.take()
        assert found is not None
        return found.versions

    made = asyncio.run(run(ProposalWishes(versions=wanted)))
    assert isinstance(made, dict)
    assert isinstance(made["pump"], Proposed)
    assert asyncio.run(run(ProposalWishes(unwanted_versions=frozenset({"pump"})))) == {}
    assert not [line for line in plant.commits() if BRANCH in line]


def test_a_branch_of_someone_else_is_left_alone(plant: FollowedPlant) -> None:
    plant.registry.moved = True
    plant.propose()
    forge = plant.gateway.forge
    forge.git("fetch", "--quiet", "origin")
    forge.git("checkout", "--quiet", "-b", "theirs", f"origin/{BRANCH}")
    theirs = forge.commit({"README.md": "reviewed\n"}, key=plant.gateway.ada, push=False)
    forge.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
    assert plant.propose() == TakenOver(theirs)
