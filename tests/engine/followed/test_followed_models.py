# SPDX-License-Identifier: Apache-2.0
"""A model follows an alias of a recorded MLflow server: one commit for each new file, and none otherwise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.engine.followed.station import CHECK_EVERY_S, FollowedModels
from reconciler.engine.proposals.proposer import ProposalOutcomes
from reconciler.engine.proposals.station import ProposalStation, ProposalWishes
from reconciler.git.proposal_outcomes import DeclinedProposal, MergedProposal, Proposed, TakenOver
from reconciler.model import Desired, ModelRef, ProposalMode, RolloutId, Version
from tests.engine.proposals.repository import AT, NORTH, Gateway, opened
from tests.engine.reports import FixedClock
from tests.load.repo import HEAD
from tests.registries.recorded_mlflow import RecordedMlflow
from tests.registries.test_mlflow import FIRST, SECOND

MODEL = """\
# the vibration of pumps
apiVersion: tinyfleet/v1alpha1
kind: Model
metadata: {{name: pump, labels: {{team: pumps}}}}
spec:
  version: "1.0"
  source: {{url: "mlflow://{host}/pump-vibration/1/model.tflite", sha256: "{sha256}"}}
  gates: [{{metric: agreement, atLeast: 0.9}}]
  follow:
    url: mlflow://{host}/pump-vibration@champion/model.tflite
    gateway: north
"""
ROLLOUT = HEAD.format(kind="Rollout", name="fans", more="") + (
    "spec:\n  model: {name: pump, version: '1.0'}  # the vibration\n  selector: {devices: [pump-2]}\n"
    "  waves: [{name: all, percent: 100, soak: 1h}]\n"
)
BRANCH = "propose/north/model_pump"


class SteppedClock(FixedClock):
    """Its steady time is set by the test."""

    steady = 0.0

    def steady_s(self) -> float:
        return self.steady


@dataclass
class Plant:
    """A gateway, its repository and the registry that its model follows."""

    gateway: Gateway
    registry: RecordedMlflow
    host: str
    clock: SteppedClock
    followed: FollowedModels

    def look(self) -> Desired:
        """Take in the repository, and check what is followed."""

        async def checked() -> Desired:
            desired = self.gateway.poll()
            self.followed.watch(desired)
            await self.followed.stop()
            return desired

        desired = asyncio.run(checked())
        self.clock.steady += CHECK_EVERY_S
        return desired

    def propose(self) -> object:
        """Check what is followed, and propose what is wanted."""
        desired = self.look()
        (wanted,) = self.followed.wanted(desired)
        return self.gateway.proposer().propose_version(desired, wanted, AT)

    def commits(self) -> list[str]:
        refs = self.gateway.forge.git("for-each-ref", "--format=%(objectname) %(refname)", cwd=self.gateway.forge.bare)
        return refs.splitlines()

    def shown(self, what: str) -> str:
        return self.gateway.forge.git("show", what, cwd=self.gateway.forge.bare)

    def merge(self) -> str:
        self.gateway.forge.git("fetch", "--quiet", "origin")
        return self.gateway.forge.merge(f"origin/{BRANCH}", key=self.gateway.ada)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    registry = RecordedMlflow()
    with registry.served() as host, opened(tmp_path, ProposalMode.BRANCH) as gateway:
        model = MODEL.format(host=host, sha256=hashlib.sha256(FIRST).hexdigest())
        gateway.forge.commit({"models/pump.yaml": model, "rollouts/fans.yaml": ROLLOUT}, key=gateway.ada)
        clock = SteppedClock()
        yield Plant(gateway, registry, host, clock, FollowedModels(NORTH, clock, lambda: None))


def test_an_alias_that_does_not_move_makes_no_commit_and_fetches_nothing(plant: Plant) -> None:
    before = plant.commits()
    for _ in range(5):
        assert plant.followed.wanted(plant.look()) == ()
    assert plant.commits() == before
    assert {path.partition("?")[0] for path in plant.registry.requests} == {"/api/2.0/mlflow/registered-models/alias"}
    assert len(plant.registry.requests) == 5


def test_a_new_version_is_one_commit_that_a_person_merges(plant: Plant) -> None:
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


def test_an_alias_that_moves_back_proposes_nothing(plant: Plant) -> None:
    plant.registry.moved = True
    plant.propose()
    plant.merge()
    plant.registry.moved = False
    assert plant.followed.wanted(plant.look()) == ()


def test_what_a_person_declined_is_not_proposed_again(plant: Plant) -> None:
    plant.registry.moved = True
    made = plant.propose()
    assert isinstance(made, Proposed)
    plant.gateway.forge.git("push", "--quiet", str(plant.gateway.forge.bare), f":{BRANCH}")
    assert plant.propose() == DeclinedProposal(made.commit, made.target)


def test_a_registry_that_does_not_answer_is_named_and_asked_again(plant: Plant) -> None:
    plant.registry.moved = True
    plant.registry.down = True
    assert plant.followed.wanted(plant.look()) == ()
    assert "answered 503" in plant.followed.troubles["pump"]
    plant.registry.down = False
    assert len(plant.followed.wanted(plant.look())) == 1
    assert plant.followed.troubles == {}


def test_the_next_check_is_due_in_time(plant: Plant) -> None:
    assert plant.followed.next_check_in_s() is None
    plant.look()
    assert plant.followed.next_check_in_s() == 0.0
    assert CHECK_EVERY_S * 2 <= 60, "alias_to_proposal_s has to hold with one check missed"


def test_the_station_makes_the_proposal_and_withdraws_it(plant: Plant) -> None:
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


def test_a_branch_of_someone_else_is_left_alone(plant: Plant) -> None:
    plant.registry.moved = True
    plant.propose()
    forge = plant.gateway.forge
    forge.git("fetch", "--quiet", "origin")
    forge.git("checkout", "--quiet", "-b", "theirs", f"origin/{BRANCH}")
    theirs = forge.commit({"README.md": "reviewed\n"}, key=plant.gateway.ada, push=False)
    forge.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
    assert plant.propose() == TakenOver(theirs)
