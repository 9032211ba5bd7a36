# SPDX-License-Identifier: Apache-2.0
"""What is worth calling somebody for: a rollout that was stopped, is complete, or goes neither on nor back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.model import DeviceId, RolloutId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_status import RolloutStatus

# What keeps a device by design: waiting for it is no news.
PATIENT = frozenset({"HeldWindow", "HeldSuspended", "HeldDependsOn"})


class EventKind(StrEnum):
    """The sorts of notice."""

    STOPPED = "stopped"
    COMPLETE = "complete"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """One thing to tell, once for each revision."""

    event: EventKind
    gateway: str
    rollout: RolloutId
    model: str
    revision: str
    commit: str
    message: str
    since: datetime

    @property
    def key(self) -> str:
        """Name the notice: who was told it once is not told it again."""
        return f"{self.rollout}/{self.revision}/{self.event}"

    def as_dict(self) -> dict[str, str]:
        """Name the fields for programs."""
        return {
            "version": "1",
            "event": self.event.value,
            "key": self.key,
            "gateway": self.gateway,
            "rollout": self.rollout,
            "model": self.model,
            "commit": self.commit,
            "message": self.message,
            "since": self.since.isoformat(),
        }


@dataclass(slots=True)
class EventDetector:
    """Remembers since when each rollout has not moved. Begins anew with the daemon: then it is stuck later."""

    gateway: str
    stuck_after: timedelta
    _moved: dict[RolloutId, tuple[object, datetime]] = field(default_factory=dict)

    def notices(
        self, rollouts: Mapping[RolloutId, RolloutStatus], devices: Iterable[DeviceStatus], now: datetime
    ) -> list[FleetEvent]:
        """Tell all that is true now; the same notice comes again as long as it is."""
        self._moved = {name: moved for name, moved in self._moved.items() if name in rollouts}
        patient = frozenset(each.device for each in devices if _reason(each) in PATIENT)
        return [notice for status in rollouts.values() for notice in self._of(status, patient, now)]

    def _of(self, status: RolloutStatus, patient: Collection[DeviceId], now: datetime) -> Iterator[FleetEvent]:
        facts = status.facts
        since = self._since(status, now)
        if facts.word.stopped:
            yield self._notice(EventKind.STOPPED, status, status.ready.message, status.ready.since)
        elif facts.complete:
            yield self._notice(EventKind.COMPLETE, status, "All waves are over.", status.ready.since)
        elif not facts.held and now - since >= self.stuck_after and not _watched(status, patient):
            hours = (now - since).total_seconds() / 3600
            words = f"nothing has changed for {hours:.1f} h; {facts.waiting or status.ready.message}"
            yield self._notice(EventKind.STUCK, status, words, since)

    def _since(self, status: RolloutStatus, now: datetime) -> datetime:
        mark = (status.facts.word.revision, status.facts.waves, status.facts.held)
        before = self._moved.get(status.facts.rollout)
        if before is None or before[0] != mark:
            before = self._moved[status.facts.rollout] = (mark, now)
        return before[1]

    def _notice(self, event: EventKind, status: RolloutStatus, message: str, since: datetime) -> FleetEvent:
        facts = status.facts
        commit = status.ready.observed_commit
        return FleetEvent(event, self.gateway, facts.rollout, facts.model, facts.word.revision, commit, message, since)


def _watched(status: RolloutStatus, patient: Collection[DeviceId]) -> bool:
    """Tell whether devices soak, or wait for a window: time alone brings it on."""
    return bool(status.facts.word.soaking) or not status.facts.word.due.isdisjoint(patient)


def _reason(status: DeviceStatus) -> str:
    return next((each.reason for each in status.conditions if each.type == "UpToDate"), "")
