# SPDX-License-Identifier: Apache-2.0
"""What is predicted of a pipeline, as JSON."""

from __future__ import annotations

from typing import Any

from reconciler.pipeline.forecast import PipelineForecast


def forecast_as_dict(each: PipelineForecast) -> dict[str, Any]:
    """Return the fields of a prediction."""
    return {
        "pipeline": str(each.name),
        "model": str(each.model),
        "built": each.is_built,
        "latencyMs": round(each.latency_ms, 3) if each.is_built else None,
        "periodMs": round(each.period_ms, 3) if each.is_built else None,
        "targetMissed": list(each.missed),
        "stages": [
            {
                "number": stage.number,
                "first": stage.first,
                "end": stage.end,
                "devices": list(stage.devices),
                "type": stage.type,
                "packBytes": stage.pack_bytes,
                "arenaBytes": stage.arena_bytes,
                "inputBytes": stage.input_bytes,
                "outputBytes": stage.output_bytes,
                "busyMs": round(stage.time.busy_us / 1000, 3),
            }
            for stage in each.stages
        ],
        "deaths": [
            {
                "device": loss.device,
                "stage": loss.stage,
                "takenBy": loss.taken_by,
                "exact": loss.exact,
                "gapMs": round(loss.gap_ms, 3),
            }
            for loss in each.losses
        ],
    }
