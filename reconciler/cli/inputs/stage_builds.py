# SPDX-License-Identifier: Apache-2.0
"""What the builds of a pipeline's stages say about it."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.compiler.build_result import BuildReport, BuildResult
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.recipe import Recipe, recipe_of
from reconciler.model import Desired, Model, Pipeline
from reconciler.pipeline.changed import stage_models_of
from reconciler.pipeline.forecast import BuiltStage, PipelineForecast, built_stage, forecast
from reconciler.pipeline.places import place_of

Built = Callable[[Model, Recipe], BuildResult | None]


def stage_results(desired: Desired, pipeline: Pipeline, built: Built) -> list[BuildResult | None]:
    """Return the builds of all stages; None for a stage that is not built."""
    kinds = [desired.types[desired.devices[stage.devices[0]].type] for stage in pipeline.stages]
    models = stage_models_of(desired, pipeline)
    return [built(model, recipe_of(model, kind)) for model, kind in zip(models, kinds, strict=True)]


def forecast_from(desired: Desired, pipeline: Pipeline, results: list[BuildResult | None]) -> PipelineForecast:
    """Predict a pipeline from the builds of its stages."""
    places = [place_of(stage, desired.devices, desired.types) for stage in pipeline.stages]
    stages = [None if each is None else _stage(each.report) for each in results]
    return forecast(pipeline, places, stages, CYCLES_PER_INSTRUCTION)


def _stage(report: BuildReport) -> BuiltStage | None:
    return built_stage(report.pack_bytes, report.arena_bytes, report.figures)
