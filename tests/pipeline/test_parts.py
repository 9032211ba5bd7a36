# SPDX-License-Identifier: Apache-2.0
"""Without lost stages, the network is cut for the devices that are left, and the lost ones keep their parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model import (
    Desired,
    DeviceId,
    ModelRef,
    PipelineId,
    StageModel,
    StageOf,
    Version,
)
from reconciler.pipeline.parts import merged, without_lost
from tests.load.repo import Repo

LINE = PipelineId("line")
PUMPS = tuple(DeviceId(f"pump-{number}") for number in (1, 2, 3))


def desired_with(repo: Repo, *ends: int | None) -> Desired:
    """Return a fleet with a pipeline of three stages."""
    stages = "".join(
        f"    - {{devices: [{pump}]{'' if end is None else f', end: {end}'}}}\n"
        for pump, end in zip(PUMPS, ends, strict=True)
    )
    spec = f"spec:\n  model: {{name: vibration, version: '1.0.0'}}\n  priority: 7\n  stages:\n{stages}"
    repo.write("third.yaml", repo.device("pump-3"))
    repo.write("pipeline.yaml", repo.document("Pipeline", LINE, spec))
    desired = repo.load().desired
    assert desired is not None, repo.problems()
    return desired


def held(desired: Desired) -> dict[DeviceId, ModelRef]:
    """Return the part that each device is to hold."""
    return {
        device: rollout.model
        for rollout in desired.rollouts.values()
        if rollout.priority == 7
        for device in rollout.selector.devices
    }


def part(name: str) -> ModelRef:
    return ModelRef(name, Version("1.0.0"))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def test_given_cuts_stay_and_the_next_stage_begins_earlier(repo: Repo) -> None:
    desired = desired_with(repo, 3, 5, None)
    found = without_lost(desired, {LINE: (2,)})
    assert held(found) == {
        PUMPS[0]: part("line-without-2-stage-1"),
        PUMPS[1]: part("line-stage-2"),  # for its return
        PUMPS[2]: part("line-without-2-stage-2"),
    }
    assert found.models[part("line-without-2-stage-1")].stage == StageOf(0, 3)
    assert found.models[part("line-without-2-stage-2")].stage == StageOf(3, None)
    last = without_lost(desired, {LINE: (3,)})
    assert last.models[part("line-without-3-stage-2")].stage == StageOf(3, None)


def test_cuts_that_are_left_open_are_found_again_for_the_devices_that_are_left(repo: Repo) -> None:
    desired = desired_with(repo, None, None, None)
    found = without_lost(desired, {LINE: (1,)})
    model = found.models[part("line-without-1-stage-1")]
    assert isinstance(model, StageModel)
    assert model.cut is not None
    assert len(model.cut.places) == 2
    both = without_lost(desired, {LINE: (1, 3)})
    assert held(both)[PUMPS[1]] == part("line-without-1-3-stage-1")
    assert both.models[part("line-without-1-3-stage-1")].stage == StageOf(0, None)


def test_a_pipeline_keeps_at_least_one_stage(repo: Repo) -> None:
    with pytest.raises(ValueError, match="all of its stages"):
        merged(desired_with(repo, 3, 5, None).pipelines[LINE], (1, 2, 3))
