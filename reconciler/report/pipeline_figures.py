# SPDX-License-Identifier: Apache-2.0
"""The figures of a pipeline as its status file, the page and `tinyfleet pipeline` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.foreign_text import printable
from reconciler.model import DeviceId, PipelineId, PipelineTarget
from reconciler.pipeline.forecast import GATEWAY
from reconciler.pipeline.target import missed

_BOUNDS = ("latencyMs", "periodMs")


@dataclass(frozen=True, slots=True)
class PipelineStageFigures:
    """One stage: who would run it now, and who ran it since the daemon started."""

    number: int
    end: int  # the number of the first operator behind it
    devices: tuple[DeviceId, ...]
    runs_on: str | None  # a device, or the gateway; None: nothing runs it
    exact: bool = True  # False: the fallback answers in its place
    preparing: tuple[DeviceId, ...] = ()  # do not hold it yet
    failed: tuple[DeviceId, ...] = ()  # did not answer when they were last asked
    moved_bytes: int = 0  # of one input: what comes in and goes out
    predicted_ms: float = 0.0
    measured_ms: float | None = None  # the median of the last runs on its first device
    ran_by: Mapping[str, int] = field(default_factory=dict)

    def ran_by_kind(self) -> dict[str, int]:
        """Count its runs without names of devices: by its first device, by the gateway, or by another device."""
        found: dict[str, int] = {}
        for who, count in self.ran_by.items():
            kind = "first" if who == self.devices[0] else GATEWAY if who == GATEWAY else "other"
            found[kind] = found.get(kind, 0) + count
        return found

    @property
    def on_first(self) -> bool:
        """Return whether its first device runs it."""
        return self.runs_on == self.devices[0]

    @property
    def cause(self) -> str:
        """Return why its first device does not run it, if it does not."""
        first = self.devices[0]
        return f"{first} does not answer" if first in self.failed else f"{first} does not hold it yet"

    @property
    def stood_in(self) -> bool:
        """Return whether the gateway runs it."""
        return self.runs_on == GATEWAY


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """One pipeline. Without stages, they are not built."""

    pipeline: PipelineId
    model: str
    stages: tuple[PipelineStageFigures, ...] = ()
    latency_ms: float = 0.0  # predicted
    period_ms: float = 0.0
    answered: int = 0  # inputs since the daemon started
    stopped: int = 0
    waiting: int = 0
    measured_latency_ms: float | None = None  # the median of the last results
    measured_period_ms: float = 0.0  # of the slowest device; 0: none has run
    target: PipelineTarget | None = None
    without: tuple[int, ...] = ()  # numbers in the document of stages that are lost, and that the others run

    @property
    def is_measured(self) -> bool:
        """Return whether there are results."""
        return self.measured_latency_ms is not None

    @property
    def missed(self) -> tuple[str, ...]:
        """Describe what exceeds the target: of what is measured, or before any result, of what is predicted."""
        if self.measured_latency_ms is not None:
            return missed(self.target, self.measured_latency_ms, self.measured_period_ms)
        return missed(self.target, self.latency_ms, self.period_ms)


def pipeline_figures_as_dict(figures: PipelineFigures) -> dict[str, Any]:
    """Return the fields of a pipeline under their names in files and JSON."""
    return {
        "pipeline": str(figures.pipeline),
        "model": figures.model,
        "latencyMs": round(figures.latency_ms, 1),
        "periodMs": round(figures.period_ms, 1),
        "measuredLatencyMs": None if figures.measured_latency_ms is None else round(figures.measured_latency_ms, 1),
        "measuredPeriodMs": round(figures.measured_period_ms, 1),
        "target": _target_as_dict(figures.target),
        "without": " ".join(map(str, figures.without)),
        "inputs": {"answered": figures.answered, "stopped": figures.stopped, "waiting": figures.waiting},
        "stages": [
            {
                "number": each.number,
                "end": each.end,
                "devices": " ".join(each.devices),
                "runsOn": each.runs_on,
                "exact": each.exact,
                "preparing": " ".join(each.preparing),
                "failed": " ".join(each.failed),
                "movedBytes": each.moved_bytes,
                "predictedMs": round(each.predicted_ms, 1),
                "measuredMs": None if each.measured_ms is None else round(each.measured_ms, 1),
                "ranBy": dict(sorted(each.ran_by.items())),
            }
            for each in figures.stages
        ],
    }


def pipeline_figures_from_dict(fields: Mapping[str, Any]) -> PipelineFigures:
    """Read the result of `pipeline_figures_as_dict`."""
    inputs = fields["inputs"]
    return PipelineFigures(
        PipelineId(str(fields["pipeline"])),
        printable(str(fields["model"])),
        tuple(_stage(each) for each in fields["stages"]),
        float(fields["latencyMs"]),
        float(fields["periodMs"]),
        int(inputs["answered"]),
        int(inputs["stopped"]),
        int(inputs["waiting"]),
        None if fields.get("measuredLatencyMs") is None else float(fields["measuredLatencyMs"]),
        float(fields.get("measuredPeriodMs", 0.0)),
        _target(fields.get("target")),
        tuple(map(int, str(fields.get("without", "")).split())),
    )


def _target_as_dict(target: PipelineTarget | None) -> dict[str, int] | None:
    if target is None:
        return None
    bounds = {"latencyMs": target.latency_ms, "periodMs": target.period_ms}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _target(fields: Mapping[str, Any] | None) -> PipelineTarget | None:
    if fields is None:
        return None
    latency_ms, period_ms = (None if (bound := fields.get(name)) is None else int(bound) for name in _BOUNDS)
    return PipelineTarget(latency_ms, period_ms)


def _stage(fields: Mapping[str, Any]) -> PipelineStageFigures:
    return PipelineStageFigures(
        int(fields["number"]),
        int(fields["end"]),
        _names(fields["devices"]),
        None if fields["runsOn"] is None else printable(str(fields["runsOn"])),
        bool(fields["exact"]),
        _names(fields["preparing"]),
        _names(fields["failed"]),
        int(fields["movedBytes"]),
        float(fields["predictedMs"]),
        None if fields["measuredMs"] is None else float(fields["measuredMs"]),
        {printable(str(who)): int(count) for who, count in fields["ranBy"].items()},
    )


def _names(text: str) -> tuple[DeviceId, ...]:
    return tuple(map(DeviceId, printable(text).split()))
