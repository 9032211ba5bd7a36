# SPDX-License-Identifier: Apache-2.0
"""The model and the rollout of each part of a pipeline, and of a pipeline that continues without some of its devices.

Because a stage is an ordinary model with an ordinary rollout, building, signing, delivery, trials and quarantine need
to know nothing about pipelines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from reconciler.model import (
    AutomaticCut,
    Desired,
    Device,
    DeviceId,
    DeviceType,
    MergedPipeline,
    Model,
    ModelRef,
    Needs,
    Pipeline,
    PipelineId,
    Rollout,
    RolloutId,
    Selector,
    StageModel,
    StageOf,
    TypeId,
)
from reconciler.model.pipelines import fallback_ref, stage_name
from reconciler.pipeline.places import place_of

STAGE_NEEDS = Needs(frozenset({"STAGE"}))  # what the document of the whole network declares is not that of a part


def models_of(
    pipeline: Pipeline,
    models: Mapping[ModelRef, Model],
    devices: Mapping[DeviceId, Device],
    types: Mapping[TypeId, DeviceType],
) -> dict[ModelRef, Model]:
    """Return the models of all stages, and of the fallback."""
    made: dict[ModelRef, Model] = {}
    whole = _part_of(models[pipeline.model])
    refs = [ModelRef(stage_name(pipeline, number), pipeline.model.version) for number in _numbers(pipeline)]
    if pipeline.is_cut_automatically:
        values = {each.name: getattr(whole, each.name) for each in fields(whole)}
        places = tuple(place_of(stage, devices, types) for stage in pipeline.stages)
        for number, ref in enumerate(refs, start=1):
            cut = AutomaticCut(number, places, pipeline.objective, pipeline.split)
            made[ref] = StageModel(**{**values, "ref": ref}, cut=cut)
    else:
        made |= {ref: replace(whole, ref=ref, stage=part) for ref, part in zip(refs, _parts(pipeline), strict=True)}
    if pipeline.fallback is not None:
        ref = fallback_ref(pipeline.name, pipeline.fallback)
        made[ref] = replace(_part_of(models[pipeline.fallback.model]), ref=ref, stage=StageOf())
    return made


def rollouts_of(pipeline: Pipeline) -> dict[RolloutId, Rollout]:
    """Return the rollouts of all stages, and of the fallback."""
    made = {}
    for number, stage in enumerate(pipeline.stages, start=1):
        name = RolloutId(stage_name(pipeline, number))
        ref = ModelRef(name, pipeline.model.version)
        made[name] = Rollout(name, ref, Selector(devices=stage.devices), pipeline.priority)
    if pipeline.fallback is not None:
        ref = fallback_ref(pipeline.name, pipeline.fallback)
        name = RolloutId(ref.name)
        made[name] = Rollout(name, ref, Selector(devices=pipeline.fallback.devices), pipeline.priority)
    return made


def merged(pipeline: Pipeline, without: tuple[int, ...]) -> MergedPipeline:
    """Leave stages out; the parts of the others then reach further."""
    kept = [stage for number, stage in enumerate(pipeline.stages, start=1) if number not in without]
    if not kept:
        raise ValueError(f"{pipeline.name} can't continue without all of its stages")
    kept[-1] = replace(kept[-1], end=None)
    values = {each.name: getattr(pipeline, each.name) for each in fields(Pipeline)}
    return MergedPipeline(**{**values, "stages": tuple(kept)}, without=without)


def without_lost(desired: Desired, lost: Mapping[PipelineId, tuple[int, ...]]) -> Desired:
    """Return the desired state in which pipelines continue without the devices of lost stages.

    Those devices keep their rollouts, so that they still hold their stages when they return.
    """
    models, rollouts, pipelines = dict(desired.models), dict(desired.rollouts), dict(desired.pipelines)
    for name, without in lost.items():
        pipeline = desired.pipelines[name]
        pipelines[name] = instead = merged(pipeline, without)
        for number in instead.numbers:
            del rollouts[RolloutId(stage_name(pipeline, number))]
        models |= models_of(instead, desired.models, desired.devices, desired.types)
        rollouts |= rollouts_of(instead)
    return replace(desired, models=models, rollouts=rollouts, pipelines=pipelines)


def _part_of(whole: Model) -> Model:
    """Leave out of a model what applies only to all of it."""
    return replace(whole, inputs=(), outputs=(), decide=None, gates=(), parameters={}, needs=STAGE_NEEDS)


def _numbers(pipeline: Pipeline) -> range:
    return range(1, len(pipeline.stages) + 1)


def _parts(pipeline: Pipeline) -> list[StageOf]:
    begins = [0, *(stage.end or 0 for stage in pipeline.stages[:-1])]
    return [StageOf(first, stage.end) for first, stage in zip(begins, pipeline.stages, strict=True)]
