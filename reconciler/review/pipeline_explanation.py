# SPDX-License-Identifier: Apache-2.0
"""Why a pipeline is in its current state: who runs each stage and why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model import DeviceId
from reconciler.report.conditions import Condition, Conditions, Status
from reconciler.report.pipeline_figures import PipelineFigures, PipelineStageFigures
from reconciler.report.remedies import REMEDIES

READY = "Ready"


@dataclass(frozen=True, slots=True)
class StageExplanation:
    """One stage: who would run it now, why it is that one, and the state of each device."""

    number: int
    runs_on: str | None  # None: nothing runs it
    why: str
    devices: tuple[tuple[DeviceId, str], ...]


@dataclass(frozen=True, slots=True)
class PipelineExplanation:
    """All stages, the conditions that are not True, and what to do, the most urgent first."""

    stages: tuple[StageExplanation, ...]
    causes: tuple[Condition, ...]
    next: tuple[str, ...]


def explain_pipeline(figures: PipelineFigures, conditions: Conditions) -> PipelineExplanation:
    """Explain a pipeline from its newest figures and its conditions."""
    causes = tuple(each for each in conditions if each.type != READY and each.status is not Status.TRUE)
    steps = dict.fromkeys([*_remedies(causes), *_devices_to_look_at(figures)])
    return PipelineExplanation(
        tuple(_stage(each) for each in figures.stages), causes, tuple(steps) or ("nothing needs to be done",)
    )


def _stage(stage: PipelineStageFigures) -> StageExplanation:
    devices = tuple((device, _state(stage, device)) for device in stage.devices)
    return StageExplanation(stage.number, stage.runs_on, _why(stage), devices)


def _why(stage: PipelineStageFigures) -> str:
    if stage.on_first:
        return "its first device holds it and answers"
    if stage.runs_on is None:
        return f"{stage.cause}, and recovery allows nothing else that is ready"
    if not stage.exact:
        return f"{stage.cause}; the fallback answers for the whole pipeline, with results of another model"
    return f"{stage.cause}; the results are the same in every byte"


def _state(stage: PipelineStageFigures, device: DeviceId) -> str:
    if device in stage.failed:
        return "did not answer when it was last asked"
    return "does not hold the stage yet" if device in stage.preparing else "holds the stage"


def _remedies(causes: tuple[Condition, ...]) -> Iterator[str]:
    for each in causes:
        remedy = REMEDIES.get(each.reason)
        yield f"{each.reason}: {remedy.text if remedy is not None else each.message}"


def _devices_to_look_at(figures: PipelineFigures) -> Iterator[str]:
    for stage in figures.stages:
        for device in stage.failed:
            yield f"check the power and the link of {device}; tinyfleet explain {device} shows its reports"
        for device in stage.preparing:
            yield f"tinyfleet explain {device} says what its update waits for"
