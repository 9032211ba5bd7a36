# SPDX-License-Identifier: Apache-2.0
"""The pipelines that a change touches, as Markdown for the comment of a review."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.views.plan_markdown import escaped
from reconciler.pipeline.forecast import DeviceLoss, ForecastStage, PipelineForecast


def pipeline_lines(each: PipelineForecast) -> Iterator[str]:
    """Show the stages of a pipeline, its times, and what the death of each device would cost."""
    yield from ("", f"#### Pipeline {escaped(each.name)}: {escaped(str(each.model))}", "")
    if not each.is_built:
        yield "The stages are not built, so nothing is predicted: run `tinyfleet build`, and give `--store`."
        return
    yield f"Predicted latency {each.latency_ms:,.1f} ms, period {each.period_ms:,.1f} ms."
    if each.missed:
        yield f"**The target is missed: {' and '.join(each.missed)}.**"
    yield from ("", "| stage | operators | device | spares | pack | arena | bytes in | bytes out | busy |")
    yield "|---:|---|---|---|---:|---:|---:|---:|---:|"
    yield from map(_stage, each.stages)
    yield from ("", "| if this device dies | stage | its stage is run by | results | one input waits |")
    yield "|---|---:|---|---|---:|"
    yield from map(_loss, each.losses)


def _stage(stage: ForecastStage) -> str:
    first, *spares = stage.devices
    return (
        f"| {stage.number} | {stage.first} to {stage.end - 1} | {escaped(first)} | {escaped(', '.join(spares) or '-')}"
        f" | {stage.pack_bytes:,} of {stage.slot_bytes:,} | {stage.arena_bytes:,} of {stage.arena_limit_bytes:,}"
        f" | {stage.input_bytes:,} | {stage.output_bytes:,} | {stage.time.busy_us / 1000:,.1f} ms |"
    )


def _loss(loss: DeviceLoss) -> str:
    if loss.taken_by is None:
        return f"| {escaped(loss.device)} | {loss.stage} | **nothing: the pipeline stops** | - | - |"
    results = "the same bytes" if loss.exact else "**of another model**"
    return f"| {escaped(loss.device)} | {loss.stage} | {escaped(loss.taken_by)} | {results} | {loss.gap_ms:,.0f} ms |"
