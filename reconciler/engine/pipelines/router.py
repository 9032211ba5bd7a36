# SPDX-License-Identifier: Apache-2.0
"""Takes inputs through the stages of one pipeline, and finds another way when a device does not answer.

A stage's inputs stay with the gateway until its outputs are there, so a device that dies costs one repeated stage.
All ways give the same bytes: a spare runs the same pack, and so does the gateway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.engine.pipelines.holder import StageHolder
from reconciler.errors import Refused, Transient
from reconciler.model import Pipeline, Recovery
from reconciler.pipeline.route import Route, RoutedStage

log = logging.getLogger(__name__)

GATEWAY = "gateway"
StandIn = Callable[[RoutedStage, Sequence[bytes]], Awaitable[bytes]]  # runs a stage on this machine


class PipelineBusy(Transient):
    """More inputs wait than the pipeline takes."""

    reason: ClassVar[str] = "PipelineBusy"


class InputRefused(Refused):
    """The input does not have the size that the model takes."""

    reason: ClassVar[str] = "InputRefused"


class PipelineStopped(Transient):
    """A stage has no holder that answers, and nothing may take its place; or the deadline has passed."""

    reason: ClassVar[str] = "PipelineStopped"


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The outputs of the network, one after the other, and who ran each stage."""

    outputs: bytes
    ran: tuple[str, ...]


@dataclass(slots=True)
class StageTally:
    """How often each way of a stage was taken."""

    by: dict[str, int] = field(default_factory=dict)

    def count(self, who: str) -> None:
        """Count one run."""
        self.by[who] = self.by.get(who, 0) + 1


class PipelineRouter:
    """One revision of one pipeline: its route cannot change, so stages of two revisions never mix."""

    def __init__(
        self, pipeline: Pipeline, route: Route, holders: Sequence[Sequence[StageHolder]], stand_in: StandIn
    ) -> None:
        self.pipeline = pipeline
        self.route = route
        self.holders = holders
        self.tallies = tuple(StageTally() for _ in route.stages)
        self._stand_in = stand_in
        self._in_flight = asyncio.Semaphore(pipeline.in_flight)
        self._begun = 0

    @property
    def waiting(self) -> int:
        """The inputs that are begun or wait."""
        return self._begun

    async def run(self, data: bytes) -> PipelineResult:
        """Run one input. Raises `InputRefused`, `PipelineBusy` or `PipelineStopped`."""
        expected = sum(self.route.input_bytes)
        if len(data) != expected:
            raise InputRefused(f"the input has {len(data)} bytes; {self.pipeline.model} takes {expected}")
        if self._begun >= self.pipeline.in_flight + self.pipeline.queue:
            raise PipelineBusy(f"{self._begun} inputs are in work or wait; the limit is in the pipeline's document")
        self._begun += 1
        try:
            async with asyncio.timeout(self.pipeline.deadline_s), self._in_flight:
                return await self._through(data)
        except TimeoutError as late:
            raise PipelineStopped(f"there was no result within {self.pipeline.deadline_s} s") from late
        finally:
            self._begun -= 1

    async def _through(self, data: bytes) -> PipelineResult:
        tensors = self.route.begin(data)
        ran = []
        for place, stage in enumerate(self.route.stages):
            who, outputs = await self._run_stage(place, stage, stage.given(tensors))
            self.tallies[place].count(who)
            ran.append(who)
            tensors = stage.with_outputs(tensors, outputs)
        return PipelineResult(self.route.result(tensors), tuple(ran))

    async def _run_stage(self, place: int, stage: RoutedStage, inputs: Sequence[bytes]) -> tuple[str, bytes]:
        first, *spares = self.holders[place]
        ways: Mapping[Recovery, Sequence[StageHolder]] = {Recovery.SPARE: spares, Recovery.STAND_IN: ()}
        outputs = await self._ask(first, inputs)
        if outputs is not None:
            return first.device, outputs
        for recovery in self.pipeline.recovery:
            if recovery is Recovery.STAND_IN:
                return GATEWAY, await self._stand_in(stage, inputs)
            for spare in ways[recovery]:
                outputs = await self._ask(spare, inputs)
                if outputs is not None:
                    return spare.device, outputs
        raise PipelineStopped(f"no device answers that holds stage {stage.number}")

    async def _ask(self, holder: StageHolder, inputs: Sequence[bytes]) -> bytes | None:
        if not holder.is_usable(self.pipeline.heal_after_s):
            return None
        outputs = await holder.run(inputs)
        if outputs is None:
            log.warning("%s: %s does not answer as a stage", self.pipeline.name, holder.device)
        return outputs
