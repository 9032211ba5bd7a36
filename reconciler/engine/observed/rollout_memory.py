# SPDX-License-Identifier: Apache-2.0
"""What is remembered of rollouts from pass to pass, and what follows from a plan that must not be forgotten."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.database import Failure, StateDatabase
from reconciler.model import (
    Artifact,
    ArtifactKey,
    BlockedReason,
    Desired,
    DeviceId,
    GatewayId,
    Observed,
    PeerReport,
    RolloutId,
    RolloutMemory,
)
from reconciler.plan import Planner, remember
from reconciler.plan.device.verdict import FailedDevice, SettledDevice
from reconciler.plan.revision import revision_of

log = logging.getLogger(__name__)


class RolloutMemories:
    """The memories of rollouts, in memory and in the database."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state
        self._merged: tuple[Observed, Observed] | None = None
        rows = state.read("SELECT name, revision, stopped, stopped_at, completed_at FROM rollout")
        self.rollouts: Mapping[RolloutId, RolloutMemory] = {
            RolloutId(name): RolloutMemory(wished, stopped, _moment(stopped_at), _moment(completed_at))
            for name, wished, stopped, stopped_at, completed_at in rows
        }

    def merged(self, seen: Observed, here: GatewayId | None, peers: Mapping[GatewayId, PeerReport]) -> Observed:
        """Add to what devices said what is remembered and what others say; the same object while nothing is new."""
        last = self._merged
        if last is None or last[0] is not seen or last[1].rollouts is not self.rollouts or last[1].peers is not peers:
            whole = replace(seen, rollouts=self.rollouts, gateway=here, peers=peers)
            last = self._merged = (seen, whole)
        return last[1]

    def take(self, observed: Observed, planner: Planner, now: datetime) -> bool:
        """Keep that rollouts stopped or were complete; tell whether that is news."""
        after = remember(observed, planner.evaluations, now)
        if after == self.rollouts:
            return False
        with self._state.together():
            self._state.write("DELETE FROM rollout")
            for name, each in after.items():
                times = [moment.timestamp() if moment else None for moment in (each.stopped_at, each.completed_at)]
                row = (name, each.revision, each.stopped, *times)
                self._state.write("INSERT INTO rollout VALUES (?, ?, ?, ?, ?)", row)
        _tell(self.rollouts, after)
        self.rollouts = after
        return True


def take_gates(desired: Desired, planner: Planner, view: Inventory, artifacts: Mapping[ArtifactKey, Artifact]) -> None:
    """Quarantine what failed a gate, so that it stays failed when it is gone; note of whom gates await evidence."""
    waiting: set[DeviceId] = set()
    for name in planner.evaluations:
        rollout = desired.rollouts[name]
        if not rollout.gates:
            continue
        for device, verdict in planner.verdicts(name).items():
            if device not in desired.devices:
                continue
            if isinstance(verdict, SettledDevice) and verdict.pending_gate:
                waiting.add(device)
            if isinstance(verdict, FailedDevice) and verdict.failed_gate:
                artifact = artifacts.get((rollout.model, desired.devices[device].type))
                if artifact is not None and view.why_quarantined(device, artifact.digest) is None:
                    why = f"a gate failed: {verdict.failed_gate}"
                    log.warning("%s: %s: %s", device, rollout.model, why, extra={"reason": BlockedReason.GATE.value})
                    view.quarantine(Failure(device, artifact.digest, why, name, revision_of(desired, name)))
    view.evidence.wanted = waiting


def _tell(before: Mapping[RolloutId, RolloutMemory], after: Mapping[RolloutId, RolloutMemory]) -> None:
    """Log what became of rollouts."""
    for name, each in after.items():
        old = before.get(name)
        known = old if old is not None and old.revision == each.revision else None
        if each.stopped and not (known is not None and known.stopped):
            log.warning("rollout %s %s", name, each.stopped)
        if each.completed_at is not None and (known is None or known.completed_at is None):
            log.info("rollout %s is complete", name)


def _moment(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
