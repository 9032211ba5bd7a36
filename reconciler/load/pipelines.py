# SPDX-License-Identifier: Apache-2.0
"""Checks pipelines, and adds the model and the rollout of each of their stages.

The models and rollouts are those of `reconciler.pipeline.parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.ownership import SelectorIndex
from reconciler.load.references import DocumentReference
from reconciler.model import (
    DeviceId,
    Model,
    ModelRef,
    Pipeline,
    PipelineId,
    Recovery,
    Rollout,
    RolloutId,
)
from reconciler.model.pipelines import LOST_MAX, fallback_ref, merged_name, stage_name
from reconciler.pipeline.parts import models_of, rollouts_of
from reconciler.validation.problems import JsonPath, Rule, quoted_list

NAME_MAX = 63
STAGES: JsonPath = ("spec", "stages")


def check_pipelines(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report pipelines whose stages no gateway could run one after the other."""
    yield from cap_alike(_pipelines(documents))


def stage_models(documents: DocumentIndex) -> Mapping[ModelRef, Model]:
    """Return the models of all stages."""
    made: dict[ModelRef, Model] = {}
    for pipeline in documents.pipelines.values():
        made |= models_of(pipeline, documents.models, documents.devices, documents.types)
    return made


def stage_rollouts(documents: DocumentIndex) -> Mapping[RolloutId, Rollout]:
    """Return the rollouts of all stages."""
    made: dict[RolloutId, Rollout] = {}
    for pipeline in documents.pipelines.values():
        made |= rollouts_of(pipeline)
    return made


def _pipelines(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    index = SelectorIndex(documents.devices)
    claimed: dict[tuple[DeviceId, int], str] = {}
    for rollout in documents.rollouts.values() if documents.pipelines else ():
        for device in index.select(rollout.selector):
            claimed[device, rollout.priority] = f"the rollout `{rollout.name}`"
    for name, pipeline in documents.pipelines.items():
        origin = documents.origin("Pipeline", name)
        yield from _model(documents, origin, pipeline)
        yield from _cuts(origin, pipeline)
        yield from _names(documents, origin, name, pipeline)
        yield from _devices(documents, origin, pipeline, claimed)


def _model(documents: DocumentIndex, origin: Origin, pipeline: Pipeline) -> Iterator[RepositoryProblem]:
    named: dict[JsonPath, ModelRef] = {("spec", "model"): pipeline.model}
    if pipeline.fallback is not None:
        named["spec", "fallback", "model"] = pipeline.fallback.model
    elif Recovery.FALLBACK in pipeline.recovery:
        message = "`recovery` lists `fallback`, but the pipeline has none"
        hint = "add `fallback` with a model and its devices, or take it out of `recovery`"
        yield RepositoryProblem(origin, ("spec", "recovery"), Rule.CONFLICTING_VALUES, message, hint)
    for at, ref in named.items():
        whole = documents.models.get(ref)
        if whole is None:
            where = DocumentReference(documents, origin, at)
            yield from where.unresolved("Model", str(ref), documents.models)
        elif whole.train is not None or whole.stage is not None:
            kind = "a forest" if whole.train is not None else "a stage itself"
            message = f"`{ref}` is {kind}, so it can't be cut into stages"
            hint = "name the model of a whole network"
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, hint)


def _cuts(origin: Origin, pipeline: Pipeline) -> Iterator[RepositoryProblem]:
    if pipeline.is_cut_automatically:
        return
    if pipeline.split:
        message = "`split` applies only to cuts that the build finds, but the stages say where they end"
        hint = "leave `end` out in all stages, of which there have to be two, or leave out `split`"
        yield RepositoryProblem(origin, ("spec", "split"), Rule.CONFLICTING_VALUES, message, hint)
    last = len(pipeline.stages) - 1
    reached = 0
    for number, stage in enumerate(pipeline.stages):
        if stage.end is None and number < last:
            message = "only the last stage goes to the end of the model"
            hint = "add `end`, the number of operators before the cut behind this stage, or leave it out in all stages"
            yield RepositoryProblem(origin, (*STAGES, number), Rule.CONFLICTING_VALUES, message, hint)
        if stage.end is not None and stage.end <= reached:
            message = f"`end` {stage.end} is not behind the stage before, which ends at {reached}"
            hint = "order the stages by `end`"
            yield RepositoryProblem(origin, (*STAGES, number, "end"), Rule.CONFLICTING_VALUES, message, hint)
        reached = stage.end or reached


def _names(
    documents: DocumentIndex, origin: Origin, name: PipelineId, pipeline: Pipeline
) -> Iterator[RepositoryProblem]:
    count = len(pipeline.stages)
    names = [stage_name(pipeline, number) for number in range(1, count + 1)]
    if Recovery.MERGE in pipeline.recovery:
        names.append(f"{merged_name(name, tuple(range(1, count + 1))[-LOST_MAX:])}-stage-{count}")  # the longest
    names += [fallback_ref(name, pipeline.fallback).name] if pipeline.fallback is not None else []
    for made in names:
        if len(made) > NAME_MAX:
            message = f"the name is too long: its stages are named like `{made}`, with at most {NAME_MAX} characters"
            yield RepositoryProblem(origin, ("metadata", "name"), Rule.CONFLICTING_VALUES, message, "shorten it")
            return
        taken = [ref for ref in documents.models if ref.name == made]
        if taken or RolloutId(made) in documents.rollouts:
            message = f"the name `{made}` of a part is that of a model or a rollout in this repository"
            yield RepositoryProblem(origin, ("metadata", "name"), Rule.DUPLICATE_NAME, message, "rename one of them")


def _devices(
    documents: DocumentIndex, origin: Origin, pipeline: Pipeline, claimed: dict[tuple[DeviceId, int], str]
) -> Iterator[RepositoryProblem]:
    index = SelectorIndex(documents.devices)
    gateways = {
        device: name for name, gateway in documents.gateways.items() for device in index.select(gateway.selector)
    }
    serving = set()
    groups = _groups(pipeline)
    seen: set[DeviceId] = set()
    for path, devices in groups.items():
        for place, device in enumerate(devices):
            at = (*path, place)
            if device not in documents.devices:
                where = DocumentReference(documents, origin, at)
                yield from where.unresolved("Device", device, documents.devices)
                continue
            serving.add(gateways.get(device))
            other = claimed.setdefault((device, pipeline.priority), f"the pipeline `{pipeline.name}`")
            if other != f"the pipeline `{pipeline.name}`" or device in seen:
                message = f"`{device}` is claimed by {other} as well, with the same priority {pipeline.priority}"
                hint = "give one of them a higher priority, or take the device out of one"
                yield RepositoryProblem(origin, at, Rule.OVERLAPPING_ROLLOUTS, message, hint)
        seen.update(devices)
    for path, devices in groups.items():
        types = sorted({documents.devices[each].type for each in devices if each in documents.devices})
        if len(types) > 1:
            message = f"its devices have the types {quoted_list(types)}; those of one stage hold the same pack"
            yield RepositoryProblem(origin, path, Rule.CONFLICTING_VALUES, message, "use devices of one type")
    known = sorted(name for name in serving if name is not None)
    if len(known) > 1:
        message = f"its devices belong to the gateways {quoted_list(known)}; one gateway has to route all stages"
        yield RepositoryProblem(origin, STAGES, Rule.CONFLICTING_VALUES, message, "use devices of one gateway")


def _groups(pipeline: Pipeline) -> dict[JsonPath, tuple[DeviceId, ...]]:
    """Return the devices that hold the same pack, by where the document lists them."""
    groups: dict[JsonPath, tuple[DeviceId, ...]] = {
        (*STAGES, number, "devices"): stage.devices for number, stage in enumerate(pipeline.stages)
    }
    if pipeline.fallback is not None:
        groups["spec", "fallback", "devices"] = pipeline.fallback.devices
    return groups
