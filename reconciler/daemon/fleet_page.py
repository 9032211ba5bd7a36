# SPDX-License-Identifier: Apache-2.0
"""Builds the data of the fleet page, from a running daemon or from recorded state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.daemon.assembly import Assembly
from reconciler.daemon.gateway_overview import DeviceOverview, GatewayOverview, device_facts, read_device
from reconciler.daemon.metrics import Metrics
from reconciler.daemon.runtime_status import RuntimeStatus, as_dict, live_of
from reconciler.engine.observed.summaries import Total, labelled
from reconciler.engine.state.reader import NoRecordedState
from reconciler.model import ContestId, DeviceId, FunctionId, PipelineId, TrainingId
from reconciler.page.page_model import (
    BucketFacts,
    CohortFacts,
    DeviceDetail,
    LinkFacts,
    LiveState,
    PageModel,
    ScoreFacts,
)
from reconciler.page.routes import exists, served
from reconciler.report.contest_file import figures_from_dict
from reconciler.report.function_status import function_figures_from_dict
from reconciler.report.pipeline_figures import pipeline_figures_from_dict
from reconciler.report.training_figures import training_figures_from_dict
from reconciler.review.formatting import age


class FleetPage:
    """The fleet page of a running daemon."""

    def __init__(self, assembly: Assembly, metrics: Metrics) -> None:
        self._assembly = assembly
        self._engine = assembly.engine
        self._metrics = metrics

    def __call__(self, path: str, query: str) -> bytes | None:
        """Render the page of a path; None if there is none."""
        return served(path, query, self._fleet(), self._detail) if exists(path) else None

    def _fleet(self) -> PageModel:
        statuses = self._engine.statuses
        live = live_of(self._engine, self._assembly.links, self._assembly.rates)
        live_state = _live_state(live, labelled(self._metrics.totals(), self._engine.artifacts.model_names))
        rates = {name: CohortFacts(rate.per_day) for name, rate in self._metrics.cohort_rates().items()}
        return statuses.page(statuses.gateway, replace(live_state, cohorts=rates))

    def _detail(self, device: DeviceId) -> DeviceDetail | None:
        """Read the details of a device from the database, as `tinyfleet status DEVICE` does."""
        try:
            known = read_device(self._assembly.state_dir, device)
        except NoRecordedState:
            return None
        return detail_of(known) if known is not None else None


def fleet_of(overview: GatewayOverview) -> PageModel:
    """Build the page from what a command has read, with or without a running daemon."""
    status = overview.live or {}
    live_state = _live_state_of(status, overview.at, overview.totals, running=overview.running)
    statuses = tuple(device.status for device in overview.devices)
    return PageModel(
        overview.gateway,
        statuses,
        overview.rollouts,
        live_state,
        overview.contests,
        overview.models,
        overview.trainings,
        overview.pipelines,
        overview.functions,
    )


def detail_of(device: DeviceOverview) -> DeviceDetail:
    """Build the details of one device."""
    return DeviceDetail(device.status, device.seen_at, device_facts(device), device.quarantined)


def _live_state(live: RuntimeStatus, totals: Mapping[str, Total]) -> LiveState:
    live_state = _live_state_of(as_dict(live), live.at, totals, running=True)
    # All devices, while the file lists only the first ones.
    return replace(live_state, in_progress=live.in_progress, waiting=live.waiting)


def _live_state_of(
    status: Mapping[str, Any], now: datetime, totals: Mapping[str, Total], *, running: bool
) -> LiveState:
    """Build the present state from the JSON of the runtime status, which served and written pages share."""
    return LiveState(
        at=now.astimezone(UTC),
        running=running,
        in_progress_count=status.get("inProgress", {}).get("count", 0),
        waiting_count=status.get("waiting", {}).get("count", 0),
        in_progress=status.get("inProgress", {}).get("devices", {}),
        waiting=status.get("waiting", {}).get("devices", {}),
        building=status.get("building", ()),
        build_failures={
            name: (each["reason"], each["message"]) for name, each in status.get("buildFailures", {}).items()
        },
        refused={name: (each["count"], each["why"]) for name, each in status.get("unauthenticated", {}).items()},
        links=tuple(_links(status.get("links", {}))),
        scores=tuple(_scores(totals, now)),
        contests={ContestId(name): figures_from_dict(each) for name, each in status.get("contests", {}).items()},
        trainings={
            TrainingId(name): training_figures_from_dict(each) for name, each in status.get("trainings", {}).items()
        },
        pipelines={
            PipelineId(name): pipeline_figures_from_dict(each) for name, each in status.get("pipelines", {}).items()
        },
        functions={
            FunctionId(name): function_figures_from_dict(each) for name, each in status.get("functions", {}).items()
        },
        buckets=tuple(
            BucketFacts(name, each["items"], each["bytes"]) for name, each in status.get("buckets", {}).items()
        ),
    )


def _links(links: Mapping[str, Mapping[str, Any]]) -> Iterable[LinkFacts]:
    for name, link in links.items():
        yield LinkFacts(
            name=name,
            trouble=link["trouble"],
            baud=link.get("baud"),
            sent_per_s=link.get("sentPerS"),
            received_per_s=link.get("heardPerS"),
            sent_bytes=link["sentBytes"],
            received_bytes=link["heardBytes"],
            questions=link["questions"],
            unanswered=link["silences"],
            frames_corrected=link["framesCorrected"],
            frames_bad=link["framesBad"],
            bit_error_rate=link["bitErrorRate"],
            unknown_devices=tuple(link["unknownDevices"]),
        )


def _scores(totals: Mapping[str, Total], now: datetime) -> Iterable[ScoreFacts]:
    for name, total in totals.items():
        score = total.score
        yield ScoreFacts(
            model=name,
            devices=total.devices,
            inferences=total.inferences,
            anomalies=total.anomalies,
            faults=total.faults,
            resets=total.resets,
            min=score.minimum if score is not None else 0,
            max=score.maximum if score is not None else 0,
            mean=score.total / score.count if score is not None and score.count else 0.0,
            histogram=score.histogram if score is not None else (),
            age=age(total.oldest, total.newest, now),
        )
