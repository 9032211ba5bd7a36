# SPDX-License-Identifier: Apache-2.0
"""Events that people want to hear about: a rollout stopped, is complete, stuck or unbuilt; see also contest_events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.model import DeviceId, RolloutId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_status import RolloutStatus

# These holds are by design: a rollout whose devices wait for them is not stuck.
EXPECTED_HOLDS = frozenset({"HeldWindow", "HeldSuspended", "HeldDependsOn"})


class EventKind(StrEnum):
    """The kinds of event."""

    STOPPED = "stopped"
    COMPLETE = "complete"
    STUCK = "stuck"
    BUILD_FAILED = "build-failed"
    UNSOUND = "unsound"  # the champion of a contest has too many errors
    PROPOSED = "proposed"  # a branch of a contest waits for a person
    TRAINED = "trained"  # a branch of a training does
    NOT_TRAINED = "not-trained"  # all trials of a training failed, or none is good enough


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """One event, sent once for each revision of a rollout, each round of a contest, or each run of a training."""

    event: EventKind
    gateway: str
    rollout: RolloutId
    model: str
    revision: str
    commit: str
    message: str
    since: datetime
    contest: str = ""  # empty: it is about the rollout itself
    training: str = ""  # of the contest; then it is about this

    @property
    def key(self) -> str:
        """Identifies the event, so that a receiver gets it only once."""
        about = f"contests/{self.contest}" if self.contest else self.rollout
        about = f"trainings/{self.training}" if self.training else about
        return f"{about}/{self.revision}/{self.event}"

    def as_dict(self) -> dict[str, str]:
        """Return the fields under their names in JSON."""
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
            **({"contest": self.contest} if self.contest else {}),
            **({"training": self.training} if self.training else {}),
        }


@dataclass(slots=True)
class EventDetector:
    """Finds events. It remembers since when each rollout has made no progress, from the start of the daemon."""

    gateway: str
    stuck_after: timedelta
    _progressed: dict[RolloutId, tuple[object, datetime]] = field(default_factory=dict)

    def events(
        self, rollouts: Mapping[RolloutId, RolloutStatus], devices: Iterable[DeviceStatus], now: datetime
    ) -> list[FleetEvent]:
        """Return every event that holds now; the same event is returned again for as long as it holds."""
        self._progressed = {name: progress for name, progress in self._progressed.items() if name in rollouts}
        waiting = frozenset(each.device for each in devices if _reason(each) in EXPECTED_HOLDS)
        return [event for status in rollouts.values() for event in self._of(status, waiting, now)]

    def _of(self, status: RolloutStatus, waiting: Collection[DeviceId], now: datetime) -> Iterator[FleetEvent]:
        facts = status.facts
        since = self._since(status, now)
        if facts.report.stopped:
            yield self._event(EventKind.STOPPED, status, status.ready.message, status.ready.since)
        elif facts.complete:
            yield self._event(EventKind.COMPLETE, status, "All waves are complete.", status.ready.since)
        elif facts.build_failure is not None and not facts.build_failure.retried:
            built = next(each for each in status.conditions if each.type == "Built")
            yield self._event(EventKind.BUILD_FAILED, status, f"{built.reason}: {built.message}", built.since)
        elif not facts.held and now - since >= self.stuck_after and not _moves_by_itself(status, waiting):
            hours = (now - since).total_seconds() / 3600
            cause = facts.build_failure.text if facts.build_failure is not None else facts.waiting
            message = f"no progress for {hours:.1f} h; {cause or status.ready.message}"
            yield self._event(EventKind.STUCK, status, message, since)

    def _since(self, status: RolloutStatus, now: datetime) -> datetime:
        mark = (status.facts.report.revision, status.facts.waves, status.facts.held)
        before = self._progressed.get(status.facts.rollout)
        if before is None or before[0] != mark:
            before = self._progressed[status.facts.rollout] = (mark, now)
        return before[1]

    def _event(self, kind: EventKind, status: RolloutStatus, message: str, since: datetime) -> FleetEvent:
        facts = status.facts
        commit = status.ready.observed_commit
        return FleetEvent(kind, self.gateway, facts.rollout, facts.model, facts.report.revision, commit, message, since)


def _moves_by_itself(status: RolloutStatus, waiting: Collection[DeviceId]) -> bool:
    """Whether devices soak or wait for a window, so that time alone moves the rollout on."""
    return bool(status.facts.report.soaking) or not status.facts.report.due.isdisjoint(waiting)


def _reason(status: DeviceStatus) -> str:
    return next((each.reason for each in status.conditions if each.type == "UpToDate"), "")
