# SPDX-License-Identifier: Apache-2.0
"""What a pipeline will need and how fast it will be, and what the death of each device would cost: before any run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import DeviceId, ModelRef, Pipeline, PipelineId, Recovery, StagePlace
from reconciler.pipeline.anatomy import Segment
from reconciler.pipeline.partition import StageTime
from reconciler.pipeline.patience import patience_s
from reconciler.pipeline.places import speed_of
from reconciler.pipeline.stage_time import MICROSECONDS, stage_time
from reconciler.pipeline.target import missed

GATEWAY = "gateway"
MERGED = "the other stages"  # once the devices hold their new parts


@dataclass(frozen=True, slots=True)
class BuiltStage:
    """What the build of a stage found."""

    pack_bytes: int
    arena_bytes: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ForecastStage:
    """One stage: what it takes of its device, what it moves, and how long it is busy with an input."""

    number: int
    first: int
    end: int
    devices: tuple[DeviceId, ...]
    type: str
    pack_bytes: int
    slot_bytes: int
    arena_bytes: int
    arena_limit_bytes: int
    input_bytes: int
    output_bytes: int
    time: StageTime


@dataclass(frozen=True, slots=True)
class DeviceLoss:
    """What happens if the first device of a stage dies."""

    stage: int
    device: DeviceId
    taken_by: str | None  # None: the pipeline stops
    gap_ms: float  # how much longer the input takes that finds out
    exact: bool = True  # results stay the same in every byte


@dataclass(frozen=True, slots=True)
class PipelineForecast:
    """One pipeline. Without its stages, they are not built."""

    name: PipelineId
    model: ModelRef
    stages: tuple[ForecastStage, ...]
    latency_ms: float
    period_ms: float
    losses: tuple[DeviceLoss, ...]
    missed: tuple[str, ...] = ()  # bounds of the target that are exceeded

    @property
    def is_built(self) -> bool:
        """Return whether anything is predicted."""
        return bool(self.stages)


def built_stage(pack_bytes: int, arena_bytes: int, figures: Mapping[str, float]) -> BuiltStage | None:
    """Return what a build found; None: an earlier version built it, whose figures do not suffice."""
    return BuiltStage(pack_bytes, arena_bytes, figures) if {"end_operator", "instructions"} <= figures.keys() else None


def forecast(
    pipeline: Pipeline, places: Sequence[StagePlace], built: Sequence[BuiltStage | None], cycles_per_instruction: float
) -> PipelineForecast:
    """Predict a pipeline from the builds of its stages; None among them: it is not built."""
    found = [stage for stage in built if stage is not None]
    if len(found) < len(pipeline.stages):
        return not_built(pipeline)
    stages = tuple(
        _stage(pipeline, number, place, stage, cycles_per_instruction)
        for number, (place, stage) in enumerate(zip(places, found, strict=True), start=1)
    )
    lines: dict[str, int] = {}
    for place, stage in zip(places, stages, strict=True):
        if place.line is not None:
            lines[place.line] = lines.get(place.line, 0) + stage.time.line_us
    period_us = max([*(stage.time.busy_us for stage in stages), *lines.values()])
    latency_us = sum(stage.time.busy_us for stage in stages)
    losses = tuple(_loss(pipeline, stage) for stage in stages)
    latency_ms, period_ms = latency_us / 1000, period_us / 1000
    too_slow = missed(pipeline.target, latency_ms, period_ms)
    return PipelineForecast(pipeline.name, pipeline.model, stages, latency_ms, period_ms, losses, too_slow)


def not_built(pipeline: Pipeline) -> PipelineForecast:
    """Return what is known of a pipeline before its stages are built."""
    return PipelineForecast(pipeline.name, pipeline.model, (), 0.0, 0.0, ())


def tensor_bytes(figures: Mapping[str, float], side: str) -> tuple[int, ...]:
    """Return the sizes of the tensors on one side of a stage, as the figures of its build list them."""
    count = sum(name.startswith(f"{side}_tensor_") for name in figures)
    return tuple(int(figures[f"{side}_{place}_bytes"]) for place in range(count))


def _stage(
    pipeline: Pipeline, number: int, place: StagePlace, built: BuiltStage, cycles_per_instruction: float
) -> ForecastStage:
    figures = built.figures
    segment = Segment(
        int(figures["first_operator"]),
        int(figures["end_operator"]),
        built.pack_bytes,
        built.arena_bytes,
        tensor_bytes(figures, "input"),
        tensor_bytes(figures, "output"),
        frozenset(),
        round(figures["instructions"]),
    )
    return ForecastStage(
        number,
        segment.first,
        segment.end,
        pipeline.stages[number - 1].devices,
        place.type,
        built.pack_bytes,
        place.slot_bytes,
        built.arena_bytes,
        place.arena_bytes,
        sum(segment.input_bytes),
        sum(segment.output_bytes),
        stage_time(segment, speed_of(place), cycles_per_instruction),
    )


def _loss(pipeline: Pipeline, stage: ForecastStage) -> DeviceLoss:
    device, *spares = stage.devices
    gap_ms = 1000 * patience_s([stage.time.busy_us / MICROSECONDS])
    for recovery in pipeline.recovery:
        if recovery is Recovery.STAND_IN:
            return DeviceLoss(stage.number, device, GATEWAY, gap_ms)
        if recovery is Recovery.FALLBACK and pipeline.fallback is not None:
            return DeviceLoss(stage.number, device, str(pipeline.fallback.model), gap_ms, exact=False)
        if recovery is Recovery.MERGE and len(pipeline.stages) > 1:
            return DeviceLoss(stage.number, device, MERGED, gap_ms + 1000 * pipeline.heal_after_s)
        if recovery is Recovery.SPARE and spares:
            return DeviceLoss(stage.number, device, spares[0], gap_ms)
    return DeviceLoss(stage.number, device, None, gap_ms)
