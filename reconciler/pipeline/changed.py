# SPDX-License-Identifier: Apache-2.0
"""Which pipelines a change touches."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Desired, Model, ModelRef, Pipeline
from reconciler.model.pipelines import stage_name


def stage_models_of(desired: Desired, pipeline: Pipeline) -> list[Model]:
    """Return the models of a pipeline's stages, in order."""
    version = pipeline.model.version
    names = (stage_name(pipeline, number) for number in range(1, len(pipeline.stages) + 1))
    return [desired.models[ref] for name in names if (ref := ModelRef(name, version)) in desired.models]


def changed_pipelines(before: Desired, after: Desired) -> list[Pipeline]:
    """Return the pipelines of which a change has another document, or another model or device of a stage."""
    return [
        pipeline
        for name, pipeline in sorted(after.pipelines.items())
        if before.pipelines.get(name) != pipeline or _parts(before, pipeline) != _parts(after, pipeline)
    ]


def _parts(desired: Desired, pipeline: Pipeline) -> Mapping[str, object]:
    names = [device for stage in pipeline.stages for device in stage.devices]
    devices = {name: desired.devices.get(name) for name in names}
    kinds = {each.type: desired.types.get(each.type) for each in devices.values() if each is not None}
    return {"models": stage_models_of(desired, pipeline), "devices": devices, "types": kinds}
