# SPDX-License-Identifier: Apache-2.0
"""How far rollouts are: wave by wave, with what is left, what is stuck and why, as the gateways told it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import yaml

from reconciler.model import (
    Desired,
    DeviceId,
    GatewayId,
    ModelRef,
    NoChange,
    Observed,
    Rollout,
    RolloutId,
)
from reconciler.plan import detailed_plan
from reconciler.plan.claims import Claims
from reconciler.plan.revision import revision_of
from reconciler.report.conditions import Status
from reconciler.report.rollout_status import RolloutStatus, WaveFacts
from reconciler.report.status_files import read_device_file
from reconciler.review.affected_devices import AffectedDevice, unheld
from reconciler.review.forecast import review_rollout
from reconciler.review.reported_state import DEVICES, ReportedState, UnheardPolicy, model_of, observed, running
from reconciler.review.transfer_volume import Quote, loads

STUCK_SHOWN = 20
_EVER = datetime(1, 1, 1, tzinfo=UTC)


class RolloutState(StrEnum):
    """Where a rollout stands, in a word."""

    COMPLETE = "complete"
    UNDER_WAY = "under way"
    WAITING = "waiting"  # held: suspended, or after another
    STOPPED = "stopped"
    ROLLED_BACK = "taken back"
    UNKNOWN = "nothing told"


@dataclass(frozen=True, slots=True)
class Stuck:
    """One device that keeps a rollout from going on, or that it goes on without."""

    device: DeviceId
    gateway: GatewayId
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RolloutPicture:
    """One rollout."""

    rollout: RolloutId
    model: str
    state: RolloutState
    since: datetime | None  # in this state
    waves: tuple[WaveFacts, ...]
    why: str  # what it waits for, or why it stopped
    told_by: tuple[GatewayId, ...]
    told_at: datetime | None
    stuck: tuple[Stuck, ...]
    stuck_count: int
    ends_at: datetime | None  # at best; None: over, or can't be told
    left_s: float | None

    @property
    def devices(self) -> int:
        """Count the devices in all waves."""
        return sum(wave.devices for wave in self.waves)

    @property
    def done(self) -> int:
        """Count those that are done."""
        return sum(wave.done for wave in self.waves)


def rollout_pictures(
    desired: Desired, evidence: ReportedState, quote: Quote, now: datetime
) -> tuple[RolloutPicture, ...]:
    """Draw every rollout of Git, by name."""
    told: dict[RolloutId, dict[GatewayId, RolloutStatus]] = {}
    for gateway, each in evidence.gateways.items():
        for status in each.rollouts:
            told.setdefault(status.facts.rollout, {})[gateway] = status
    forecast = _Forecast(desired, evidence, quote, now)
    return tuple(
        _picture(desired.rollouts[name], told.get(name, {}), evidence, forecast, now)
        for name in sorted(desired.rollouts)
    )


def _picture(
    rollout: Rollout,
    told: Mapping[GatewayId, RolloutStatus],
    evidence: ReportedState,
    forecast: _Forecast,
    now: datetime,
) -> RolloutPicture:
    current = {name: each for name, each in told.items() if each.facts.model == str(rollout.model)}
    now_wanted = revision_of(forecast.desired, rollout.name)
    newest = max(current.values(), key=lambda each: _knowledge(each, now_wanted), default=None)
    if newest is None:
        waves = forecast.waves(rollout)
        return RolloutPicture(
            rollout.name, str(rollout.model), RolloutState.UNKNOWN, None, waves, "no gateway reported it yet", (), None, (), 0,
            *forecast.end(rollout, now),
        )  # fmt: skip
    state = state_of(newest)
    stuck = sorted(_stuck(current, evidence), key=lambda each: (each.reason, each.device))
    over = state in {RolloutState.COMPLETE, RolloutState.STOPPED, RolloutState.ROLLED_BACK}
    ends_at, left_s = (None, None) if over else forecast.end(rollout, now)
    return RolloutPicture(
        rollout=rollout.name,
        model=newest.facts.model,
        state=state,
        since=newest.ready.since,
        waves=newest.facts.waves,
        why="" if state is RolloutState.COMPLETE else newest.ready.message,
        told_by=tuple(sorted(current)),
        told_at=max((each.facts.report.at for each in current.values() if each.facts.report.at), default=None),
        stuck=tuple(stuck[:STUCK_SHOWN]),
        stuck_count=len(stuck),
        ends_at=ends_at,
        left_s=left_s,
    )


def _knowledge(status: RolloutStatus, now_wanted: str) -> tuple[bool, bool, int, datetime]:
    """Say how much a gateway knows: each tells of all devices, and of those of others it tells some past."""
    facts, word = status.facts, status.facts.report
    done = sum(wave.done for wave in facts.waves)
    return word.revision == now_wanted, bool(word.stopped), done, word.at or _EVER


def state_of(status: RolloutStatus) -> RolloutState:
    """Say in a word where a rollout stands."""
    facts = status.facts
    if facts.report.stopped:
        return RolloutState.ROLLED_BACK if facts.rolled_back else RolloutState.STOPPED
    if facts.complete:
        return RolloutState.COMPLETE
    return RolloutState.WAITING if facts.held else RolloutState.UNDER_WAY


def _stuck(told: Mapping[GatewayId, RolloutStatus], evidence: ReportedState) -> Iterable[Stuck]:
    """Find who failed, is missing, or can never have it; each gateway's word on its own devices counts."""
    for gateway, status in told.items():
        word = status.facts.report
        files = evidence.gateways[gateway].files
        for what, names in (("failed", word.failed), ("missing", word.missing), ("out", word.out)):
            for name in names:
                yield _why(name, gateway, what, files.get(f"{DEVICES}{name}.yaml"))


def _why(name: DeviceId, gateway: GatewayId, what: str, data: bytes | None) -> Stuck:
    try:
        ready = read_device_file(data).ready if data is not None else None
    except (KeyError, TypeError, ValueError, yaml.YAMLError):
        ready = None
    if ready is None or ready.status is Status.TRUE:
        return Stuck(name, gateway, what, "", None)
    return Stuck(name, gateway, ready.reason, ready.message, ready.since)


class _Forecast:
    """When rollouts could be over: what is left travels at the lines' speed, and is watched as long as Git says."""

    def __init__(self, desired: Desired, evidence: ReportedState, quote: Quote, now: datetime) -> None:
        self.desired = desired
        seen: Observed = observed(
            evidence, desired, running(evidence, desired), now, before=desired, unheard=UnheardPolicy.NEW
        )
        claims = Claims(desired)
        left = [action for action in unheld(desired, seen, now) if not isinstance(action, NoChange)]
        self._touched = [
            AffectedDevice(action.device, claim.rollout, claim.gateway, action)
            for action in left
            if (device := desired.devices.get(action.device)) is not None
            for claim in (claims.of(device),)
        ]
        runs: dict[DeviceId, ModelRef] = {}
        for name, told in evidence.devices.items():
            ref = model_of(told)
            if ref is not None:
                runs[name] = ref
        self._loads = loads(desired, self._touched, runs, quote)
        self._courses = detailed_plan(desired, seen, now).evaluations

    def waves(self, rollout: Rollout) -> tuple[WaveFacts, ...]:
        """Tell the waves of a rollout of which nobody told."""
        course = self._courses.get(rollout.name)
        if course is None:
            return ()
        return tuple(
            WaveFacts(step.name, len(step.members), 0, 0, len(step.members), 0, 0, open=False) for step in course.steps
        )

    def end(self, rollout: Rollout, now: datetime) -> tuple[datetime | None, float | None]:
        """Tell when it could be over, and in how many seconds."""
        course = self._courses.get(rollout.name)
        if course is None:
            return None, None
        mine = [each for each in self._touched if each.rollout == rollout.name]
        found = review_rollout(self.desired, rollout, rollout, course, mine, self._loads, now)
        if found.ends_at is None:
            return None, None
        return found.ends_at, (found.ends_at - now).total_seconds()
