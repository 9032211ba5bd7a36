# SPDX-License-Identifier: Apache-2.0
"""A stage is lost when its devices failed for long, and returns when one of them has reported for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine.device_sessions import DeviceIdentity, SessionPorts
from reconciler.engine.pipelines.holder import HolderPorts, StageHolder
from reconciler.engine.pipelines.merges import Merges
from reconciler.engine.pipelines.router import PipelineRouter
from reconciler.model import Desired, DeviceId, Pipeline, PipelineId, Recovery
from reconciler.pipeline.parts import merged
from reconciler.pipeline.route import Route, RoutedStage
from signing import keys
from tests.load.repo import Repo

LINE = PipelineId("line")
HEAL_AFTER_S = 30
PUMPS = tuple(DeviceId(f"pump-{number}") for number in (1, 2, 3))
START = datetime(2026, 1, 1, tzinfo=UTC)


class Hours:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def steady_s(self) -> float:
        return self.passed_s


class Plant:
    """Stages on devices without a link, so each that is asked fails; and what the gateway knows of reports."""

    def __init__(self, desired: Desired) -> None:
        self.clock = Hours()
        self.seen: dict[DeviceId, datetime] = {}
        self.merges = Merges(self.seen.get, self.clock)
        self.desired = desired
        self.pipeline = desired.pipelines[LINE]
        self.router = self.router_of(self.pipeline)

    def router_of(self, pipeline: Pipeline) -> PipelineRouter:
        signer = keys.generate()
        ports = HolderPorts(SessionPorts(lambda _: None, lambda _: None, signer, self.clock))
        stages = tuple(
            RoutedStage(number, bytes(16), (number - 1,), (number,), (1,))
            for number in range(1, len(pipeline.stages) + 1)
        )
        holders = [
            [StageHolder(DeviceIdentity(device, bytes(16), bytes(32)), each, ports) for device in stage.devices]
            for each, stage in zip(stages, pipeline.stages, strict=True)
        ]
        return PipelineRouter(pipeline, Route(stages, (0,), (1,), (len(stages),)), holders, never)

    def fail(self, place: int) -> None:
        """Have the devices of a stage asked, in vain."""
        for holder in self.router.holders[place]:
            assert asyncio.run(holder.run([b"x"], HEAL_AFTER_S)) is None

    def lose(self, place: int) -> None:
        self.fail(place)
        self.clock.passed_s += HEAL_AFTER_S
        self.fail(place)

    def wanted(self) -> Pipeline:
        return self.merges.applied(self.desired, {LINE: self.router}).pipelines[LINE]


async def never(_stage: RoutedStage, _inputs: Sequence[bytes]) -> bytes:
    raise AssertionError("the gateway may not run a stage")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    repo = Repo(tmp_path)
    stages = "".join(f"    - {{devices: [{pump}]}}\n" for pump in PUMPS)
    more = f"  recovery: [merge]\n  healAfter: {HEAL_AFTER_S}s\n  priority: 7\n  stages:\n{stages}"
    repo.write("third.yaml", repo.device("pump-3"))
    spec = f"spec:\n  model: {{name: vibration, version: '1.0.0'}}\n{more}"
    repo.write("pipeline.yaml", repo.document("Pipeline", LINE, spec))
    desired = repo.load().desired
    assert desired is not None
    return Plant(desired)


def test_a_device_that_is_silent_for_a_moment_changes_nothing(plant: Plant) -> None:
    plant.fail(1)
    assert plant.merges.applied(plant.desired, {LINE: plant.router}) is plant.desired
    plant.clock.passed_s += HEAL_AFTER_S  # nobody asked it again
    assert plant.merges.applied(plant.desired, {LINE: plant.router}) is plant.desired


def test_a_stage_that_fails_for_long_is_left_out(plant: Plant) -> None:
    plant.lose(1)
    assert plant.wanted() == merged(plant.pipeline, (2,))
    first = plant.merges.applied(plant.desired, {LINE: plant.router})
    assert plant.merges.applied(plant.desired, {LINE: plant.router}) is first


def test_without_the_recovery_the_cuts_stay(plant: Plant) -> None:
    plant.lose(1)
    document = replace(plant.pipeline, recovery=(Recovery.STAND_IN,))
    desired = replace(plant.desired, pipelines={LINE: document})
    assert plant.merges.applied(desired, {LINE: plant.router}) is desired


def test_a_second_stage_is_named_by_its_number_in_the_document(plant: Plant) -> None:
    plant.lose(0)
    plant.router = plant.router_of(plant.wanted())
    plant.lose(1)  # the third of the document
    assert plant.wanted() == merged(plant.pipeline, (1, 3))
    plant.router = plant.router_of(plant.wanted())
    plant.lose(0)
    assert plant.wanted() == merged(plant.pipeline, (1, 3))  # one has to be left


def test_a_device_that_reports_for_long_gets_its_stage_back(plant: Plant) -> None:
    plant.lose(1)
    assert plant.wanted() != plant.pipeline
    plant.router = plant.router_of(plant.wanted())
    assert plant.merges.next_change_in_s() is None
    plant.clock.passed_s += 1
    plant.seen[PUMPS[1]] = plant.clock.now()
    assert plant.wanted() != plant.pipeline
    assert plant.merges.next_change_in_s() == HEAL_AFTER_S
    plant.clock.passed_s += HEAL_AFTER_S
    assert plant.merges.applied(plant.desired, {LINE: plant.router}) is plant.desired


def test_each_time_it_has_to_report_twice_as_long(plant: Plant) -> None:
    for times in range(3):
        plant.router = plant.router_of(plant.pipeline)
        plant.lose(1)
        assert plant.wanted() != plant.pipeline
        plant.router = plant.router_of(plant.wanted())
        plant.clock.passed_s += 1
        plant.seen[PUMPS[1]] = plant.clock.now()
        plant.wanted()
        assert plant.merges.next_change_in_s() == HEAL_AFTER_S << times
        plant.clock.passed_s += HEAL_AFTER_S << times
        assert plant.wanted() == plant.pipeline


def test_another_document_begins_again(plant: Plant) -> None:
    plant.lose(1)
    assert plant.wanted() != plant.pipeline
    plant.router = plant.router_of(plant.wanted())
    desired = replace(plant.desired, pipelines={LINE: replace(plant.pipeline, deadline_s=5)})
    assert plant.merges.applied(desired, {LINE: plant.router}) is desired
