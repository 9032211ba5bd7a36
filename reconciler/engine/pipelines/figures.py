# SPDX-License-Identifier: Apache-2.0
"""What a router is doing, as figures for the status: who would run each stage now, without asking anyone."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine.pipelines.holder import HolderState, StageHolder
from reconciler.engine.pipelines.router import PipelineRouter
from reconciler.model import MergedPipeline, Recovery
from reconciler.pipeline.forecast import GATEWAY, PipelineForecast
from reconciler.report.pipeline_figures import PipelineFigures, PipelineStageFigures


def figures_of(router: PipelineRouter, expected: PipelineForecast) -> PipelineFigures:
    """Describe a pipeline whose stages are built."""
    stages = tuple(_stage(router, place, expected) for place in range(len(router.route.stages)))
    return PipelineFigures(
        router.pipeline.name,
        str(router.pipeline.model),
        stages,
        expected.latency_ms,
        expected.period_ms,
        router.answered,
        router.stopped,
        router.waiting,
        None if router.typical_s is None else 1000 * router.typical_s,
        max((stage.measured_ms for stage in stages if stage.measured_ms is not None), default=0.0),
        router.pipeline.target,
        router.pipeline.without if isinstance(router.pipeline, MergedPipeline) else (),
    )


def _stage(router: PipelineRouter, place: int, expected: PipelineForecast) -> PipelineStageFigures:
    holders, stage = router.holders[place], router.route.stages[place]
    runs_on, exact = next(_ways(router, place), (None, True))
    predicted = expected.stages[place] if expected.is_built else None
    typical_s = holders[0].typical_s
    return PipelineStageFigures(
        stage.number,
        predicted.end if predicted else 0,
        tuple(each.device for each in holders),
        runs_on,
        exact,
        tuple(each.device for each in holders if each.state is HolderState.PREPARING),
        tuple(each.device for each in holders if each.state is HolderState.FAILED),
        predicted.input_bytes + predicted.output_bytes if predicted else 0,
        predicted.time.busy_us / 1000 if predicted else 0.0,
        None if typical_s is None else 1000 * typical_s,
        dict(router.tallies[place].by),
    )


def _ways(router: PipelineRouter, place: int) -> Iterator[tuple[str, bool]]:
    """Yield who can run a stage, in the order in which they are asked, and whether results are exact."""
    first, *spares = router.holders[place]
    smaller = router.fallback.holders if router.fallback is not None else ()
    yield from ((each.device, True) for each in _ready(first))
    for recovery in router.pipeline.recovery:
        match recovery:
            case Recovery.STAND_IN:
                yield GATEWAY, True
            case Recovery.SPARE:
                yield from ((each.device, True) for each in _ready(*spares))
            case Recovery.MERGE:
                pass  # another router does
            case Recovery.FALLBACK:
                yield from ((each.device, False) for each in _ready(*smaller))


def _ready(*holders: StageHolder) -> list[StageHolder]:
    return [each for each in holders if each.state is HolderState.READY]
