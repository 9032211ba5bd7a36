# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows and the database does not: what is in progress right now. A small file, replaced as a whole.

`tinyfleet status` reads it together with the database (docs/adr/0060); /metrics is made from the same value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.daemon.link_rates import LinkRates, Rate
from reconciler.devices.link import LinkStatistics
from reconciler.engine.engine import Engine
from reconciler.engine.links import Links
from reconciler.model import ContestId, DeviceId, PipelineId, TrainingId
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.contest_file import figures_as_dict
from reconciler.report.function_status import FunctionFigures, function_figures_as_dict
from reconciler.report.pipeline_figures import PipelineFigures, pipeline_figures_as_dict
from reconciler.report.training_figures import TrainingFigures, training_figures_as_dict

FILE = "live.json"
VERSION = 2
LISTED = 100  # devices of each kind that the file names; all are counted


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """One link right now."""

    trouble: str | None
    statistics: LinkStatistics
    baud: int | None = None  # None: not a serial line
    rate: Rate | None = None  # None: not measured yet


@dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """A running daemon at one point in time."""

    at: datetime
    passes: int
    summary: str
    commit: str | None
    source_good: bool
    source_reason: str
    in_progress: Mapping[DeviceId, str] = field(default_factory=dict)
    waiting: Mapping[DeviceId, str] = field(default_factory=dict)
    building: tuple[str, ...] = ()
    build_failures: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # the reason and the message
    links: Mapping[str, LinkFigures] = field(default_factory=dict)
    uplinks: Mapping[str, str | None] = field(default_factory=dict)  # what is wrong with each; None: nothing
    unauthenticated: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    contests: Mapping[ContestId, ContestFigures] = field(default_factory=dict)
    trainings: Mapping[TrainingId, TrainingFigures] = field(default_factory=dict)
    pipelines: Mapping[PipelineId, PipelineFigures] = field(default_factory=dict)
    functions: tuple[FunctionFigures, ...] = ()
    buckets: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # the items and the bytes


def live_of(engine: Engine, links: Links, rates: LinkRates) -> RuntimeStatus:
    """Look at the engine."""
    troubles, bauds = links.troubles(), links.bauds()
    source = engine.source
    return RuntimeStatus(
        at=datetime.now(UTC),
        passes=engine.passes,
        summary=engine.summary(),
        commit=engine.enforced,
        source_good=source is not None and source.good,
        source_reason=source.reason if source is not None else "",
        in_progress=engine.deliveries.running,
        waiting=engine.deliveries.waiting,
        building=tuple(f"{model} for {kind}" for model, kind in engine.artifacts.building),
        build_failures={
            f"{model} for {kind}": (failure.reason, failure.text)
            for (model, kind), failure in engine.artifacts.failures.items()
        },
        links={
            name: LinkFigures(troubles.get(name), figures, bauds.get(name), rates.of(name))
            for name, figures in links.statistics().items()
        },
        uplinks=engine.node.uplinks,
        unauthenticated={name: (each.count, each.why) for name, each in engine.inventory.trust.refused.items()},
        contests=engine.statuses.contest_figures,
        trainings=engine.statuses.training_figures,
        pipelines={each.figures.pipeline: each.figures for each in engine.pipelines.reports()},
        functions=tuple(each.figures for each in engine.node.reports),
        buckets=engine.node.offer.fullness,
    )


def as_dict(live: RuntimeStatus) -> dict[str, Any]:
    """Return the fields for programs."""
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "at": live.at.isoformat(timespec="milliseconds"),
        "passes": live.passes,
        "summary": live.summary,
        "commit": live.commit,
        "source": {"good": live.source_good, "reason": live.source_reason},
        "inProgress": {"count": len(live.in_progress), "devices": dict(sorted(live.in_progress.items())[:LISTED])},
        "waiting": {"count": len(live.waiting), "devices": dict(sorted(live.waiting.items())[:LISTED])},
        "building": list(live.building),
        "buildFailures": {
            name: {"reason": reason, "message": message} for name, (reason, message) in live.build_failures.items()
        },
        "links": {name: _link(figures) for name, figures in live.links.items()},
        "uplinks": dict(sorted(live.uplinks.items())),
        "unauthenticated": {
            name: {"count": count, "why": why} for name, (count, why) in sorted(live.unauthenticated.items())[:LISTED]
        },
        "contests": {name: figures_as_dict(figures) for name, figures in sorted(live.contests.items())},
        "trainings": {name: training_figures_as_dict(figures) for name, figures in sorted(live.trainings.items())},
        "pipelines": {name: pipeline_figures_as_dict(figures) for name, figures in sorted(live.pipelines.items())},
        "functions": {each.function: function_figures_as_dict(each) for each in live.functions},
        "buckets": {name: {"items": items, "bytes": size} for name, (items, size) in sorted(live.buckets.items())},
    }


def write(state_dir: Path, live: RuntimeStatus) -> None:
    """Replace the file. It needs no fsync: it describes the present, so after a power cut nobody needs it."""
    path = state_dir / FILE
    new = path.with_name(FILE + ".new")
    new.write_text(json.dumps(as_dict(live)), encoding="utf-8")
    new.replace(path)


def read(state_dir: Path) -> dict[str, Any] | None:
    """Return what was written last; None: nothing usable."""
    try:
        read = json.loads((state_dir / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) and read.get("version") == VERSION else None


def _link(figures: LinkFigures) -> dict[str, Any]:
    statistics = figures.statistics
    return {
        "trouble": figures.trouble,
        "baud": figures.baud,
        "sentPerS": figures.rate.sent_per_s if figures.rate is not None else None,
        "heardPerS": figures.rate.received_per_s if figures.rate is not None else None,
        "sentBytes": statistics.sent_bytes,
        "heardBytes": statistics.received_bytes,
        "questions": statistics.questions,
        "answers": statistics.answers,
        "silences": statistics.silences,
        "unsolicited": statistics.unsolicited,
        "malformed": statistics.malformed,
        "framesCorrected": statistics.frames_corrected,
        "framesBad": statistics.frames_bad,
        "bitErrorRate": statistics.bit_error_rate,
        "unknownDevices": sorted(statistics.unknown)[:LISTED],
    }
