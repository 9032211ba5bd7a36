# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows, and what `tinyfleet status` reads, as the page has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.daemon.assembly import Assembly
from reconciler.daemon.metrics import Metrics
from reconciler.daemon.runtime_status import RuntimeStatus, as_dict, live_of
from reconciler.daemon.state_reader import DeviceOverview, GatewayOverview, NoRecordedState, device_facts, read_device
from reconciler.engine.observed.summaries import Total, labelled
from reconciler.model import DeviceId
from reconciler.page.page_model import DeviceDetail, LinkFacts, LiveState, PageModel, ScoreFacts
from reconciler.page.routes import exists, served


class FleetPage:
    """The pages of a running daemon."""

    def __init__(self, assembly: Assembly, metrics: Metrics) -> None:
        self._assembly = assembly
        self._engine = assembly.engine
        self._metrics = metrics

    def __call__(self, path: str, query: str) -> bytes | None:
        """Draw what a path names; None: nothing."""
        return served(path, query, self._fleet(), self._detail) if exists(path) else None

    def _fleet(self) -> PageModel:
        statuses = self._engine.statuses
        live = live_of(self._engine, self._assembly.links, self._assembly.rates)
        present = _present(live, labelled(self._metrics.totals(), self._engine.artifacts.names))
        return PageModel(statuses.gateway, statuses.devices, tuple(statuses.rollouts.values()), present)

    def _detail(self, device: DeviceId) -> DeviceDetail | None:
        """Read from the database what `tinyfleet status DEVICE` reads."""
        try:
            known = read_device(self._assembly.state_dir, device)
        except NoRecordedState:
            return None
        return detail_of(known) if known is not None else None


def fleet_of(overview: GatewayOverview) -> PageModel:
    """Take what a command has read, beside the daemon or without one."""
    told = overview.live or {}
    present = _present_of(told, overview.at, overview.totals, running=overview.running)
    statuses = tuple(device.status for device in overview.devices)
    return PageModel(overview.gateway, statuses, overview.rollouts, present)


def detail_of(device: DeviceOverview) -> DeviceDetail:
    """Take one device."""
    return DeviceDetail(device.status, device.seen_at, device_facts(device), device.quarantined)


def _present(live: RuntimeStatus, totals: Mapping[str, Total]) -> LiveState:
    present = _present_of(as_dict(live), live.at, totals, running=True)
    return replace(
        present, in_progress=live.in_progress, waiting=live.waiting
    )  # all of them, not as many as a file lists


def _present_of(told: Mapping[str, Any], now: datetime, totals: Mapping[str, Total], *, running: bool) -> LiveState:
    """Take the moment as the daemon tells it to programs: what is served and what is written are made of one thing."""
    return LiveState(
        at=now.astimezone(UTC),
        running=running,
        in_progress_count=told.get("underWay", {}).get("count", 0),
        waiting_count=told.get("waiting", {}).get("count", 0),
        in_progress=told.get("underWay", {}).get("devices", {}),
        waiting=told.get("waiting", {}).get("devices", {}),
        building=told.get("building", ()),
        build_failures=told.get("buildFailures", {}),
        refused={name: (each["count"], each["why"]) for name, each in told.get("unauthenticated", {}).items()},
        links=tuple(_links(told.get("links", {}))),
        scores=tuple(_scores(totals)),
    )


def _links(told: Mapping[str, Mapping[str, Any]]) -> Iterable[LinkFacts]:
    for name, link in told.items():
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


def _scores(totals: Mapping[str, Total]) -> Iterable[ScoreFacts]:
    for name, total in totals.items():
        score = total.score
        yield ScoreFacts(
            model=name,
            devices=total.devices,
            inferences=total.inferences,
            anomalies=total.anomalies,
            faults=total.faults,
            resets=total.resets,
            min=score.least if score is not None else 0,
            max=score.most if score is not None else 0,
            mean=score.total / score.count if score is not None and score.count else 0.0,
            histogram=score.histogram if score is not None else (),
        )
