# SPDX-License-Identifier: Apache-2.0
"""Desired state: pipelines, which run one model on several devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.names import DeviceId, Labels, ModelRef, PipelineId


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


class Recovery(StrEnum):
    """What may run a stage while the device that should run it does not answer."""

    SPARE = "spare"  # another device that holds the stage
    STAND_IN = "stand-in"  # the gateway


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One model that several devices run, one part after the other, through their gateway."""

    name: PipelineId
    model: ModelRef
    stages: tuple[PipelineStage, ...]
    priority: int = 0
    deadline_s: int = 10
    in_flight: int = 4
    queue: int = 16  # inputs that may wait; more are refused
    heal_after_s: int = 30
    recovery: tuple[Recovery, ...] = (Recovery.SPARE, Recovery.STAND_IN)
    labels: Labels = field(default_factory=dict)


def stage_name(pipeline: PipelineId, number: int) -> str:
    """Return the name of the model and the rollout of a stage; the first one has number 1."""
    return f"{pipeline}-stage-{number}"
