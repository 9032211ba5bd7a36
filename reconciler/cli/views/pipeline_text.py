# SPDX-License-Identifier: Apache-2.0
"""Pipelines and their results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.inputs.status_overviews import PipelineOverview
from reconciler.cli.views.contest_text import conditions_table, plain_table
from reconciler.pipeline.forecast import PipelineForecast


def listed_pipelines(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show all pipelines, one line for each stage."""
    if not found:
        return Text("no pipelines can run")
    table = plain_table("PIPELINE", "MODEL", "STAGE", "DEVICES", "RAN BY")
    for each in found:
        for stage in each["stages"]:
            first = stage["number"] == 1
            ran_by = _counts(stage["ran_by"])
            table.add_row(
                each["name"] if first else "", each["model"] if first else "", str(stage["number"]),
                ", ".join(stage["devices"]), ran_by,
            )  # fmt: skip
    return table


def ran_stages(result: Mapping[str, Any]) -> RenderableType:
    """Show a result, and who ran each stage."""
    ran = ", ".join(f"{number} {who}" for number, who in enumerate(result["ran"], start=1))
    lines = [result["outputs"], f"stages: {ran}; {result['milliseconds']} ms"]
    if not result["exact"]:
        lines.append("this is the result of the fallback, not of the model")
    if "compared" in result:
        equal = "the same bytes" if result["equal"] else f"DIFFERENT: {result['compared']}"
        lines.append(f"the model in one piece: {equal}; {result['comparedMilliseconds']} ms on this machine")
    return Text("\n".join(lines))


def shown_pipeline(each: PipelineOverview) -> Iterator[RenderableType]:
    """Show the conditions and the stages of one pipeline."""
    figures = each.figures
    yield Text.assemble((figures.pipeline, "bold"), f"  {figures.model}  gateway {each.gateway}")
    yield conditions_table(each.status.conditions)
    if not figures.stages:
        return
    yield Text(
        f"predicted latency {figures.latency_ms:,.1f} ms, period {figures.period_ms:,.1f} ms; inputs: "
        f"{figures.answered} answered, {figures.stopped} not, {figures.waiting} in work"
    )
    if figures.measured_latency_ms is not None:
        yield Text(
            f"measured latency {figures.measured_latency_ms:,.1f} ms, period {figures.measured_period_ms:,.1f} ms"
        )
    table = plain_table("STAGE", "END", "DEVICES", "RUNS ON", "BYTES", "PREDICTED", "MEASURED", "RAN BY")
    for stage in figures.stages:
        style = "" if stage.on_first else "yellow"
        measured = f"{stage.measured_ms:,.1f} ms" if stage.measured_ms is not None else "-"
        table.add_row(
            str(stage.number), str(stage.end), ", ".join(stage.devices), Text(stage.runs_on or "nothing", style),
            f"{stage.moved_bytes:,}", f"{stage.predicted_ms:,.1f} ms", measured, _counts(stage.ran_by),
        )  # fmt: skip
    yield table


def _counts(ran_by: Mapping[str, int]) -> str:
    return ", ".join(f"{who} {count}" for who, count in sorted(ran_by.items())) or "-"


def cut_pipeline(found: PipelineForecast, notes: Sequence[str]) -> Iterator[RenderableType]:
    """Show the stages of a pipeline as they are built, and what the death of each device would cost."""
    head = (
        f"{found.name}  {found.model}  predicted latency {found.latency_ms:,.1f} ms, period {found.period_ms:,.1f} ms"
    )
    yield Text(head)
    if found.missed:
        yield Text(f"the target is missed: {' and '.join(found.missed)}", "yellow")
    stages = plain_table("STAGE", "END", "DEVICES", "PACK", "ARENA", "BYTES IN", "BYTES OUT", "BUSY")
    for stage in found.stages:
        pack = f"{stage.pack_bytes:,} of {stage.slot_bytes:,}"
        arena = f"{stage.arena_bytes:,} of {stage.arena_limit_bytes:,}"
        moved = f"{stage.input_bytes:,}", f"{stage.output_bytes:,}"
        busy = f"{stage.time.busy_us / 1000:,.1f} ms"
        stages.add_row(str(stage.number), str(stage.end), ", ".join(stage.devices), pack, arena, *moved, busy)
    yield stages
    losses = plain_table("IF IT DIES", "STAGE", "RUN BY", "RESULTS", "ONE INPUT WAITS")
    for loss in found.losses:
        results = "-" if loss.taken_by is None else "the same bytes" if loss.exact else "of another model"
        gap = "-" if loss.taken_by is None else f"{loss.gap_ms:,.0f} ms"
        losses.add_row(loss.device, str(loss.stage), loss.taken_by or "nothing", results, gap)
    yield losses
    for note in notes:
        yield Text(f"note: {note}")
