# SPDX-License-Identifier: Apache-2.0
"""Takes inputs through the stages of one pipeline, and finds another way when a device does not answer.

A stage's inputs stay with the gateway until its outputs are there, so a device that dies costs one repeated stage.
All ways give the same bytes: a spare runs the same pack, and so does the gateway.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar, NamedTuple

from reconciler.engine.pipelines.holder import REMEMBERED, StageHolder
from reconciler.errors import Refused, Transient
from reconciler.model import Pipeline, Recovery
from reconciler.pipeline.forecast import GATEWAY
from reconciler.pipeline.route import Route, RoutedStage

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
    exact: bool = True  # False: they are those of the fallback


@dataclass(frozen=True, slots=True)
class RoutedFallback:
    """The smaller model that may answer in place of all stages, and who holds it."""

    stage: RoutedStage
    holders: Sequence[StageHolder]


class _Answer(NamedTuple):
    """The outputs of a stage, or of the fallback in place of all that is left."""

    who: str
    outputs: bytes
    exact: bool = True


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
        self,
        pipeline: Pipeline,
        route: Route,
        holders: Sequence[Sequence[StageHolder]],
        stand_in: StandIn,
        fallback: RoutedFallback | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.route = route
        self.holders = holders
        self.tallies = tuple(StageTally() for _ in route.stages)
        self.fallback = fallback
        self._stand_in = stand_in
        self._in_flight = asyncio.Semaphore(pipeline.in_flight)
        self._begun = 0
        self._took_s: deque[float] = deque(maxlen=REMEMBERED)
        self.answered = 0
        self.stopped = 0

    @property
    def typical_s(self) -> float | None:
        """The median time from the begin of an input to its result; None: there was none."""
        return median(self._took_s) if self._took_s else None

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
                began_s = asyncio.get_running_loop().time()
                result = await self._through(data)
                self._took_s.append(asyncio.get_running_loop().time() - began_s)
        except PipelineStopped:
            self.stopped += 1
            raise
        except TimeoutError as late:
            self.stopped += 1
            raise PipelineStopped(f"there was no result within {self.pipeline.deadline_s} s") from late
        else:
            self.answered += 1
            return result
        finally:
            self._begun -= 1

    async def _through(self, data: bytes) -> PipelineResult:
        tensors = self.route.begin(data)
        ran = []
        for place, stage in enumerate(self.route.stages):
            answer = await self._run_stage(place, stage.given(tensors), data)
            self.tallies[place].count(answer.who)
            ran.append(answer.who)
            if not answer.exact:
                return PipelineResult(answer.outputs, tuple(ran), exact=False)
            tensors = stage.with_outputs(tensors, answer.outputs)
        return PipelineResult(self.route.result(tensors), tuple(ran))

    async def _run_stage(self, place: int, inputs: Sequence[bytes], data: bytes) -> _Answer:
        """Run a stage, or answer the whole input if only the fallback can."""
        stage = self.route.stages[place]
        first, *spares = self.holders[place]
        fallback = self.fallback.holders if self.fallback is not None else ()
        whole = tuple(self.route.begin(data).values())
        ways: Mapping[Recovery | None, tuple[Sequence[StageHolder], Sequence[bytes]]] = {
            None: ((first,), inputs),
            Recovery.SPARE: (spares, inputs),
            Recovery.FALLBACK: (fallback, whole),
        }
        for recovery in (None, *self.pipeline.recovery):
            if recovery is Recovery.MERGE:
                continue  # the cuts change between passes, and then there is another router
            if recovery is Recovery.STAND_IN:
                return _Answer(GATEWAY, await self._stand_in(stage, inputs))
            holders, given = ways[recovery]
            for holder in holders:
                outputs = await holder.run(given, self.pipeline.heal_after_s)
                if outputs is not None:
                    return _Answer(holder.device, outputs, recovery is not Recovery.FALLBACK)
        raise PipelineStopped(f"no device answers that holds stage {stage.number}")
