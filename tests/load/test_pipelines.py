# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Pipelines, the models and rollouts of their stages, and the problems between them and other documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model import (
    DeviceId,
    LayerSplit,
    ModelRef,
    PipelineId,
    PipelineObjective,
    PipelineTarget,
    Recovery,
    RolloutId,
    Selector,
    StageModel,
    StageOf,
    Version,
)
from reconciler.validation.problems import Rule
from tests.load.repo import Repo

STAGES = "    - {end: 3, devices: [pump-1]}\n    - {devices: [pump-2]}\n"


def pipeline(
    repo: Repo, *, name: str = "line", model: str = "vibration", stages: str = STAGES, more: str = "  priority: 7\n"
) -> str:
    spec = f"spec:\n  model: {{name: {model}, version: '1.0.0'}}\n{more}  stages:\n{stages}"
    return repo.document("Pipeline", name, spec)


@pytest.fixture
def checked(repo: Repo) -> Repo:
    return repo.write("pipeline.yaml", pipeline(repo))


def rewrite(**changes: str) -> Callable[[Repo], Repo]:
    return lambda repo: repo.write("pipeline.yaml", pipeline(repo, **changes))


def add_gateway(repo: Repo) -> Repo:
    repo.write("gateways.yaml", repo.document("Gateway", "hall", "spec:\n  selector: {devices: [pump-1]}\n"))
    return repo.append("gateways.yaml", repo.document("Gateway", "yard", "spec:\n  selector: {devices: [pump-2]}\n"))


# name: (how to break the repository, rule, line, JSON path, part of the message)
Case = tuple[Callable[[Repo], Repo], Rule, int, str, str]
BROKEN: dict[str, Case] = {
    "unknown model": (rewrite(model="vibratoin"), Rule.UNRESOLVED_REFERENCE, 5, "$.spec.model", "there is no Model"),
    "a stage as the model": (lambda r: r.replace("models/vibration.yaml", "  parameters: {limit: 1}\n", "  stage: {end: 2}\n"), Rule.CONFLICTING_VALUES, 5, "$.spec.model", "a stage itself"),
    "unknown device": (rewrite(stages=STAGES.replace("pump-2", "pump-9")), Rule.UNRESOLVED_REFERENCE, 9, "$.spec.stages[1].devices[0]", "there is no Device"),
    "a device in two stages": (rewrite(stages=STAGES.replace("pump-2", "pump-1")), Rule.OVERLAPPING_ROLLOUTS, 9, "$.spec.stages[1].devices[0]", "the pipeline `line`"),
    "the priority of a rollout": (rewrite(more="  priority: 0\n"), Rule.OVERLAPPING_ROLLOUTS, 8, "$.spec.stages[0].devices[0]", "the rollout `canary`"),
    "no cut": (rewrite(stages=STAGES.replace("end: 3, ", "").replace("{devices: [pump-2]", "{end: 3, devices: [pump-2]")), Rule.CONFLICTING_VALUES, 8, "$.spec.stages[0]", "only the last stage"),
    "cuts out of order": (rewrite(stages=STAGES.replace("{devices: [pump-2]", "{end: 3, devices: [pump-2]")), Rule.CONFLICTING_VALUES, 9, "$.spec.stages[1].end", "which ends at 3"),
    "two gateways": (add_gateway, Rule.CONFLICTING_VALUES, 8, "$.spec.stages", "`hall`, `yard`"),
    "a long name": (rewrite(name="l" * 60), Rule.CONFLICTING_VALUES, 3, "$.metadata.name", "too long"),
    "the name of a rollout": (lambda r: r.append("rollouts.yaml", r.rollout("line-stage-1", "  priority: 3\n")), Rule.DUPLICATE_NAME, 3, "$.metadata.name", "`line-stage-1`"),
    "no recovery of this name": (rewrite(more="  recovery: [prayer]\n"), Rule.WRONG_VALUE, 6, "$.spec.recovery[0]", "prayer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_of_a_pipeline_is_located_and_explained(name: str, checked: Repo) -> None:
    break_it, rule, line, at, words = BROKEN[name]
    break_it(checked)
    problem = next(one for one in checked.problems() if one.rule is rule)
    assert (problem.path, problem.line, problem.json_path) == ("pipeline.yaml", line, at)
    assert words in str(problem)


def test_a_pipeline_is_loaded_with_its_defaults(checked: Repo) -> None:
    desired = checked.load().desired
    assert desired is not None
    made = desired.pipelines[PipelineId("line")]
    assert (made.deadline_s, made.in_flight, made.queue, made.heal_after_s) == (10, 4, 16, 30)
    assert made.recovery == (Recovery.SPARE, Recovery.STAND_IN)


def test_each_stage_is_a_model_with_a_rollout(checked: Repo) -> None:
    desired = checked.load().desired
    assert desired is not None
    refs = [ModelRef(f"line-stage-{number}", Version("1.0.0")) for number in (1, 2)]
    assert [desired.models[ref].stage for ref in refs] == [StageOf(0, 3), StageOf(3, None)]
    whole = desired.models[ModelRef("vibration", Version("1.0.0"))]
    assert all(desired.models[ref].source == whole.source for ref in refs)
    assert not any(desired.models[ref].parameters for ref in refs)
    rollouts = [desired.rollouts[RolloutId(ref.name)] for ref in refs]
    assert [rollout.selector for rollout in rollouts] == [
        Selector(devices=(DeviceId(name),)) for name in ("pump-1", "pump-2")
    ]
    assert [(rollout.model, rollout.priority) for rollout in rollouts] == [(ref, 7) for ref in refs]


def test_layers_are_split_only_where_the_build_cuts(checked: Repo) -> None:
    more = "  split: [channels]\n  target: {latencyMs: 600, periodMs: 250}\n  priority: 7\n"
    rewrite(more=more)(checked)
    (problem,) = checked.problems()
    assert (problem.rule, "two" in (problem.hint or "")) == (Rule.CONFLICTING_VALUES, True)
    rewrite(stages=STAGES.replace("end: 3, ", ""), more=more)(checked)
    desired = checked.load().desired
    assert desired is not None
    made = desired.models[ModelRef("line-stage-1", Version("1.0.0"))]
    assert isinstance(made, StageModel)
    assert made.cut is not None
    assert made.cut.split == (LayerSplit.CHANNELS,)
    assert desired.pipelines[PipelineId("line")].target == PipelineTarget(600, 250)


def test_without_any_cut_the_build_decides_for_the_devices_of_all_stages(checked: Repo) -> None:
    more = "  objective: throughput\n  priority: 7\n"
    rewrite(stages=STAGES.replace("end: 3, ", ""), more=more)(checked)
    desired = checked.load().desired
    assert desired is not None
    models = [desired.models[ModelRef(f"line-stage-{number}", Version("1.0.0"))] for number in (1, 2)]
    cuts = [model.cut for model in models if isinstance(model, StageModel)]
    assert [cut and (cut.number, cut.objective) for cut in cuts] == [
        (1, PipelineObjective.THROUGHPUT),
        (2, PipelineObjective.THROUGHPUT),
    ]
    kind = desired.types[desired.devices[DeviceId("pump-1")].type]
    assert cuts[0] is not None
    assert [(place.type, place.slot_bytes) for place in cuts[0].places] == [(kind.name, kind.slot_bytes)] * 2


def test_two_pipelines_do_not_share_a_device(checked: Repo) -> None:
    checked.append("pipeline.yaml", pipeline(checked, name="other"))
    problems = [one for one in checked.problems() if one.rule is Rule.OVERLAPPING_ROLLOUTS]
    assert len(problems) == 2
    assert "the pipeline `line`" in str(problems[0])
