# SPDX-License-Identifier: Apache-2.0
"""Desired state: pipelines, which run one model on several devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.names import DeviceId, Labels, ModelRef, PipelineId, TypeId


@dataclass(frozen=True, slots=True)
class StageOf:
    """A part of a network, by the numbers of its operators."""

    first: int = 0
    end: int | None = None  # the first operator behind it; None: it goes to the end


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """One stage of a pipeline: where it ends, and which devices hold it. The first of them that works runs it."""

    devices: tuple[DeviceId, ...]
    end: int | None = None


class PipelineObjective(StrEnum):
    """What automatic cuts minimize: the time to one result, or the time between two."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True)
class StagePlace:
    """What a cut depends on of the devices of one stage."""

    type: TypeId
    architecture: str
    slot_bytes: int
    arena_bytes: int
    operators: tuple[str, ...]
    pack_format: int
    clock: str | None  # MHz, as the label of the type has it
    line: str | None = None  # the serial line that the first device shares; None: it is behind a broker
    baud: int | None = None


class LayerSplit(StrEnum):
    """How a layer that fits no device may be computed in parts."""

    CHANNELS = "channels"  # each part has some of the output channels


@dataclass(frozen=True, slots=True)
class AutomaticCut:
    """One stage of a network that is cut where it is best for the places of all its stages."""

    number: int  # from 1
    places: tuple[StagePlace, ...]  # of all stages, in order
    objective: PipelineObjective = PipelineObjective.LATENCY
    split: tuple[LayerSplit, ...] = ()


class Recovery(StrEnum):
    """What may run a stage while the device that should run it does not answer."""

    SPARE = "spare"  # another device that holds the stage
    STAND_IN = "stand-in"  # the gateway
    MERGE = "merge"  # the devices that are left, between which the network is cut again
    FALLBACK = "fallback"  # another model for the whole pipeline, with other results


@dataclass(frozen=True, slots=True)
class PipelineFallback:
    """A smaller model that answers in place of the whole pipeline, and the devices that hold it."""

    model: ModelRef
    devices: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class PipelineTarget:
    """How fast a pipeline is wanted. A bound that is exceeded is reported, and stops nothing."""

    latency_ms: int | None = None  # of one input
    period_ms: int | None = None  # between two results


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One model that several devices run, one part after the other, through their gateway."""

    name: PipelineId
    model: ModelRef
    stages: tuple[PipelineStage, ...]
    objective: PipelineObjective = PipelineObjective.LATENCY  # of cuts that the document leaves out
    split: tuple[LayerSplit, ...] = ()
    priority: int = 0
    deadline_s: int = 10
    in_flight: int = 4
    queue: int = 16  # inputs that may wait; more are refused
    heal_after_s: int = 30
    recovery: tuple[Recovery, ...] = (Recovery.SPARE, Recovery.STAND_IN)
    fallback: PipelineFallback | None = None
    target: PipelineTarget | None = None
    labels: Labels = field(default_factory=dict)

    @property
    def is_cut_automatically(self) -> bool:
        """Return whether the document leaves out all cuts between its stages."""
        return len(self.stages) > 1 and all(stage.end is None for stage in self.stages)


LOST_MAX = 2  # stages of a pipeline that others take over


@dataclass(frozen=True, slots=True)
class MergedPipeline(Pipeline):
    """A pipeline as if its document did not list some of its stages. Git never has one."""

    without: tuple[int, ...] = ()  # their numbers in the document

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in the document of the stages that are left."""
        count = len(self.stages) + len(self.without)
        return tuple(number for number in range(1, count + 1) if number not in self.without)


def merged_name(pipeline: PipelineId, without: tuple[int, ...]) -> str:
    """Return what the names of parts begin with while stages are left out."""
    return f"{pipeline}-without-{'-'.join(map(str, without))}"


def stage_name(pipeline: Pipeline, number: int) -> str:
    """Return the name of the model and the rollout of a stage; the first one has number 1."""
    prefix = merged_name(pipeline.name, pipeline.without) if isinstance(pipeline, MergedPipeline) else pipeline.name
    return f"{prefix}-stage-{number}"


def fallback_ref(pipeline: PipelineId, fallback: PipelineFallback) -> ModelRef:
    """Return the model, and by its name the rollout, of a pipeline's fallback."""
    return ModelRef(f"{pipeline}-fallback", fallback.model.version)
