# SPDX-License-Identifier: Apache-2.0
"""The progress of rollouts, wave by wave: time left, stuck devices and why, as the gateways report it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import yaml

from reconciler.model import Desired, DeviceId, GatewayId, ModelRef, NoChange, Observed, Rollout, RolloutId
from reconciler.plan import detailed_plan
from reconciler.plan.claims import Claims
from reconciler.plan.revision import revision_of
from reconciler.report.conditions import Status
from reconciler.report.remedies import REMEDIES
from reconciler.report.rollout_status import RolloutStatus, WaveFacts
from reconciler.report.status_files import read_device_file
from reconciler.review.affected_devices import AffectedDevice, unheld
from reconciler.review.forecast import review_rollout
from reconciler.review.reported_state import DEVICES, MissingStatus, ReportedState, model_of, observed, running
from reconciler.review.transfer_volume import PayloadSizer, loads

STUCK_SHOWN = 20
_EVER = datetime(1, 1, 1, tzinfo=UTC)


class RolloutState(StrEnum):
    """The state of a rollout."""

    COMPLETE = "complete"
    IN_PROGRESS = "in-progress"
    WAITING = "waiting"  # suspended, or depends on another rollout
    STOPPED = "stopped"
    ROLLED_BACK = "rolled-back"
    UNKNOWN = "unknown"  # no gateway has reported this version

    @property
    def text(self) -> str:
        """Return the state for people."""
        return self.value.replace("-", " ")


@dataclass(frozen=True, slots=True)
class StuckDevice:
    """One device that failed, is missing, or can never run the model."""

    device: DeviceId
    gateway: GatewayId
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RolloutOverview:
    """The progress of one rollout."""

    rollout: RolloutId
    model: str
    state: RolloutState
    since: datetime | None  # the start of this state
    waves: tuple[WaveFacts, ...]
    message: str  # what it waits for, or why it stopped
    reported_by: tuple[GatewayId, ...]
    reported_at: datetime | None
    stuck: tuple[StuckDevice, ...]
    stuck_count: int
    ends_at: datetime | None  # at the earliest; None: ended, or unknown
    left_s: float | None
    advice: str = ""  # what to do about the message; empty: nothing

    @property
    def devices(self) -> int:
        """Count the devices in all waves."""
        return sum(wave.devices for wave in self.waves)

    @property
    def done(self) -> int:
        """Count the devices that are done."""
        return sum(wave.done for wave in self.waves)


def rollout_overviews(
    desired: Desired, reported: ReportedState, size: PayloadSizer, now: datetime
) -> tuple[RolloutOverview, ...]:
    """Summarize every rollout of the desired state, by name."""
    statuses: dict[RolloutId, dict[GatewayId, RolloutStatus]] = {}
    for gateway, each in reported.gateways.items():
        for status in each.rollouts:
            statuses.setdefault(status.facts.rollout, {})[gateway] = status
    forecast = _Forecast(desired, reported, size, now)
    return tuple(
        _overview(desired.rollouts[name], statuses.get(name, {}), reported, forecast, now)
        for name in sorted(desired.rollouts)
    )


def _overview(
    rollout: Rollout,
    statuses: Mapping[GatewayId, RolloutStatus],
    reported: ReportedState,
    forecast: _Forecast,
    now: datetime,
) -> RolloutOverview:
    current = {name: each for name, each in statuses.items() if each.facts.model == str(rollout.model)}
    revision = revision_of(forecast.desired, rollout.name)
    newest = max(current.values(), key=lambda each: _rank(each, revision), default=None)
    if newest is None:
        waves = forecast.waves(rollout)
        return RolloutOverview(
            rollout.name, str(rollout.model), RolloutState.UNKNOWN, None, waves, "no gateway has reported it yet",
            (), None, (), 0, *forecast.end(rollout, now),
        )  # fmt: skip
    state = state_of(newest)
    stuck = sorted(_stuck(current, reported), key=lambda each: (each.reason, each.device))
    ended = state in {RolloutState.COMPLETE, RolloutState.STOPPED, RolloutState.ROLLED_BACK}
    ends_at, left_s = (None, None) if ended else forecast.end(rollout, now)
    return RolloutOverview(
        rollout=rollout.name,
        model=newest.facts.model,
        state=state,
        since=newest.ready.since,
        waves=newest.facts.waves,
        message="" if state is RolloutState.COMPLETE else newest.ready.message,
        reported_by=tuple(sorted(current)),
        reported_at=max((each.facts.report.at for each in current.values() if each.facts.report.at), default=None),
        stuck=tuple(stuck[:STUCK_SHOWN]),
        stuck_count=len(stuck),
        ends_at=ends_at,
        left_s=left_s,
        advice=_advice(newest),
    )


def _advice(status: RolloutStatus) -> str:
    remedy = REMEDIES.get(status.ready.reason)
    return remedy.text if remedy is not None and remedy.act else ""


def _rank(status: RolloutStatus, revision: str) -> tuple[bool, bool, int, datetime]:
    """Rank statuses by how much a gateway knows: each reports all devices, but sees those of others with a delay."""
    facts, word = status.facts, status.facts.report
    done = sum(wave.done for wave in facts.waves)
    return word.revision == revision, bool(word.stopped), done, word.at or _EVER


def state_of(status: RolloutStatus) -> RolloutState:
    """Return the state of a rollout from its status."""
    facts = status.facts
    if facts.report.stopped:
        return RolloutState.ROLLED_BACK if facts.rolled_back else RolloutState.STOPPED
    if facts.complete:
        return RolloutState.COMPLETE
    return RolloutState.WAITING if facts.held else RolloutState.IN_PROGRESS


def _stuck(statuses: Mapping[GatewayId, RolloutStatus], reported: ReportedState) -> Iterable[StuckDevice]:
    """Find failed, missing and incapable devices; each gateway's report counts for its own devices."""
    for gateway, status in statuses.items():
        word = status.facts.report
        files = reported.gateways[gateway].files
        for kind, names in (("failed", word.failed), ("missing", word.missing), ("out", word.out)):
            for name in names:
                yield _stuck_device(name, gateway, kind, files.get(f"{DEVICES}{name}.yaml"))


def _stuck_device(name: DeviceId, gateway: GatewayId, kind: str, data: bytes | None) -> StuckDevice:
    try:
        ready = read_device_file(data).ready if data is not None else None
    except (KeyError, TypeError, ValueError, yaml.YAMLError):
        ready = None
    if ready is None or ready.status is Status.TRUE:
        return StuckDevice(name, gateway, kind, "", None)
    return StuckDevice(name, gateway, ready.reason, ready.message, ready.since)


class _Forecast:
    """When rollouts could end: the remaining transfers at the speed of their lines, and the soaks that Git demands."""

    def __init__(self, desired: Desired, reported: ReportedState, size: PayloadSizer, now: datetime) -> None:
        self.desired = desired
        seen: Observed = observed(
            reported, desired, running(reported, desired), now, before=desired, missing_status=MissingStatus.ASSUME_NEW
        )
        claims = Claims(desired)
        left = [action for action in unheld(desired, seen, now) if not isinstance(action, NoChange)]
        self._affected = [
            AffectedDevice(action.device, claim.rollout, claim.gateway, action)
            for action in left
            if (device := desired.devices.get(action.device)) is not None
            for claim in (claims.of(device),)
        ]
        models: dict[DeviceId, ModelRef] = {}
        for name, status in reported.devices.items():
            ref = model_of(status)
            if ref is not None:
                models[name] = ref
        self._loads = loads(desired, self._affected, models, size)
        self._evaluations = detailed_plan(desired, seen, now).evaluations

    def waves(self, rollout: Rollout) -> tuple[WaveFacts, ...]:
        """Return the waves of a rollout that no gateway has reported."""
        evaluation = self._evaluations.get(rollout.name)
        if evaluation is None:
            return ()
        return tuple(
            WaveFacts(step.name, len(step.members), 0, 0, len(step.members), 0, 0, open=False)
            for step in evaluation.steps
        )

    def end(self, rollout: Rollout, now: datetime) -> tuple[datetime | None, float | None]:
        """Return when the rollout could end, and in how many seconds."""
        evaluation = self._evaluations.get(rollout.name)
        if evaluation is None:
            return None, None
        mine = [each for each in self._affected if each.rollout == rollout.name]
        found = review_rollout(self.desired, rollout, rollout, evaluation, mine, self._loads, now)
        if found.ends_at is None:
            return None, None
        return found.ends_at, (found.ends_at - now).total_seconds()
