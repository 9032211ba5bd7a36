# SPDX-License-Identifier: Apache-2.0
"""Checks pipelines, and makes the model and the rollout of each of their stages.

Because a stage is an ordinary model with an ordinary rollout, building, signing, delivery, trials and quarantine need
to know nothing about pipelines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace

from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.ownership import SelectorIndex
from reconciler.load.references import DocumentReference
from reconciler.model import (
    CLOCK_LABEL,
    AutomaticCut,
    DeviceId,
    Model,
    ModelRef,
    Pipeline,
    PipelineId,
    PipelineStage,
    Rollout,
    RolloutId,
    Selector,
    SerialAddress,
    StageModel,
    StageOf,
    StagePlace,
)
from reconciler.model.pipelines import stage_name
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
        whole = replace(documents.models[pipeline.model], inputs=(), outputs=(), decide=None, gates=(), parameters={})
        refs = [ModelRef(stage_name(pipeline.name, number), pipeline.model.version) for number in _numbers(pipeline)]
        if pipeline.is_cut_automatically:
            fields = {each.name: getattr(whole, each.name) for each in dataclass_fields(whole)}
            places = tuple(_place(documents, stage) for stage in pipeline.stages)
            for number, ref in enumerate(refs, start=1):
                cut = AutomaticCut(number, places, pipeline.objective)
                made[ref] = StageModel(**{**fields, "ref": ref}, cut=cut)
        else:
            made |= {ref: replace(whole, ref=ref, stage=part) for ref, part in zip(refs, _parts(pipeline), strict=True)}
    return made


def stage_rollouts(documents: DocumentIndex) -> Mapping[RolloutId, Rollout]:
    """Return the rollouts of all stages."""
    made = {}
    for pipeline in documents.pipelines.values():
        for number, stage in enumerate(pipeline.stages, start=1):
            name = RolloutId(stage_name(pipeline.name, number))
            ref = ModelRef(name, pipeline.model.version)
            made[name] = Rollout(name, ref, Selector(devices=stage.devices), pipeline.priority)
    return made


def _numbers(pipeline: Pipeline) -> range:
    return range(1, len(pipeline.stages) + 1)


def _place(documents: DocumentIndex, stage: PipelineStage) -> StagePlace:
    """Return what the cuts depend on of a stage's first device; its spares have the same type."""
    device = documents.devices[stage.devices[0]]
    kind = documents.types[device.type]
    serial = device.link if isinstance(device.link, SerialAddress) else None
    place = StagePlace(
        kind.name, kind.architecture, kind.slot_bytes, kind.arena_bytes, tuple(sorted(kind.operators)),
        kind.pack_format, kind.labels.get(CLOCK_LABEL),
    )  # fmt: skip
    return place if serial is None else replace(place, line=serial.port, baud=serial.baud)


def _parts(pipeline: Pipeline) -> list[StageOf]:
    begins = [0, *(stage.end or 0 for stage in pipeline.stages[:-1])]
    return [StageOf(first, stage.end) for first, stage in zip(begins, pipeline.stages, strict=True)]


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
    whole = documents.models.get(pipeline.model)
    if whole is None:
        where = DocumentReference(documents, origin, ("spec", "model"))
        yield from where.unresolved("Model", str(pipeline.model), documents.models)
    elif whole.train is not None or whole.stage is not None:
        kind = "a forest" if whole.train is not None else "a stage itself"
        message = f"`{pipeline.model}` is {kind}, so it can't be cut into stages"
        hint = "name the model of a whole network"
        yield RepositoryProblem(origin, ("spec", "model"), Rule.CONFLICTING_VALUES, message, hint)


def _cuts(origin: Origin, pipeline: Pipeline) -> Iterator[RepositoryProblem]:
    if pipeline.is_cut_automatically:
        return
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
    for number in range(1, len(pipeline.stages) + 1):
        made = stage_name(name, number)
        if len(made) > NAME_MAX:
            message = f"the name is too long: its stages are named like `{made}`, with at most {NAME_MAX} characters"
            yield RepositoryProblem(origin, ("metadata", "name"), Rule.CONFLICTING_VALUES, message, "shorten it")
            return
        taken = [ref for ref in documents.models if ref.name == made]
        if taken or RolloutId(made) in documents.rollouts:
            message = f"the name `{made}` of a stage is that of a model or a rollout in this repository"
            yield RepositoryProblem(origin, ("metadata", "name"), Rule.DUPLICATE_NAME, message, "rename one of them")


def _devices(
    documents: DocumentIndex, origin: Origin, pipeline: Pipeline, claimed: dict[tuple[DeviceId, int], str]
) -> Iterator[RepositoryProblem]:
    index = SelectorIndex(documents.devices)
    gateways = {
        device: name for name, gateway in documents.gateways.items() for device in index.select(gateway.selector)
    }
    serving = set()
    for number, stage in enumerate(pipeline.stages):
        for place, device in enumerate(stage.devices):
            at = (*STAGES, number, "devices", place)
            if device not in documents.devices:
                where = DocumentReference(documents, origin, at)
                yield from where.unresolved("Device", device, documents.devices)
                continue
            serving.add(gateways.get(device))
            other = claimed.setdefault((device, pipeline.priority), f"the pipeline `{pipeline.name}`")
            if other != f"the pipeline `{pipeline.name}`" or _is_named_before(pipeline, number, device):
                message = f"`{device}` is claimed by {other} as well, with the same priority {pipeline.priority}"
                hint = "give one of them a higher priority, or take the device out of one"
                yield RepositoryProblem(origin, at, Rule.OVERLAPPING_ROLLOUTS, message, hint)
    for number, stage in enumerate(pipeline.stages):
        types = sorted({documents.devices[each].type for each in stage.devices if each in documents.devices})
        if len(types) > 1:
            message = f"its devices have the types {quoted_list(types)}; those of one stage hold the same pack"
            at = (*STAGES, number, "devices")
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "use devices of one type")
    known = sorted(name for name in serving if name is not None)
    if len(known) > 1:
        message = f"its devices belong to the gateways {quoted_list(known)}; one gateway has to route all stages"
        yield RepositoryProblem(origin, STAGES, Rule.CONFLICTING_VALUES, message, "use devices of one gateway")


def _is_named_before(pipeline: Pipeline, number: int, device: DeviceId) -> bool:
    return any(device in stage.devices for stage in pipeline.stages[:number])
