# SPDX-License-Identifier: Apache-2.0
"""The explanation of a pipeline: for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.inputs.status_overviews import PipelineOverview
from reconciler.cli.views.contest_text import conditions_table, plain_table
from reconciler.review.pipeline_explanation import PipelineExplanation


def explained_pipeline(each: PipelineOverview, explanation: PipelineExplanation) -> Iterator[RenderableType]:
    """Show who runs each stage and why, the conditions that are not True, and what to do."""
    figures = each.figures
    yield Text.assemble((figures.pipeline, "bold"), f"  {figures.model}  gateway {each.gateway}")
    if explanation.stages:
        table = plain_table("STAGE", "RUNS ON", "BECAUSE", "DEVICES")
        for stage in explanation.stages:
            devices = "; ".join(f"{device} {state}" for device, state in stage.devices)
            table.add_row(str(stage.number), stage.runs_on or "nothing", stage.why, devices)
        yield table
    if explanation.causes:
        yield conditions_table(explanation.causes)
    yield Text("\n".join(["Next", *(f"  {step}" for step in explanation.next)]))


def explanation_as_dict(each: PipelineOverview, explanation: PipelineExplanation) -> dict[str, Any]:
    """Return the fields for JSON."""
    return {
        "pipeline": str(each.figures.pipeline),
        "model": each.figures.model,
        "gateway": each.gateway,
        "stages": [
            {
                "number": stage.number,
                "runsOn": stage.runs_on,
                "why": stage.why,
                "devices": [{"device": str(device), "state": state} for device, state in stage.devices],
            }
            for stage in explanation.stages
        ],
        "causes": [condition.as_dict() for condition in explanation.causes],
        "next": list(explanation.next),
    }
