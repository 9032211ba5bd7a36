# SPDX-License-Identifier: Apache-2.0
"""What must be remembered of rollouts from pass to pass: that they stopped or completed, and which gates failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.records import QuarantineRecord
from reconciler.engine.state.writer import StateWriter
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
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.plan import Planner, remember
from reconciler.plan.device.verdict import FailedDevice, SettledDevice
from reconciler.plan.revision import revision_of

log = logging.getLogger(__name__)


class RolloutMemories:
    """The memories of all rollouts, in memory and in the database."""

    def __init__(self, state: StateWriter) -> None:
        self._state = state
        self._merged: SnapshotCache[Observed] = SnapshotCache()
        self.rollouts: Mapping[RolloutId, RolloutMemory] = state.rollout_memories()

    def merged(self, seen: Observed, here: GatewayId | None, peers: Mapping[GatewayId, PeerReport]) -> Observed:
        """Add memories and peers' reports to what devices reported, as a snapshot (reconciler.model.snapshot_cache)."""
        known = self._merged.get(seen, self.rollouts, peers)
        if known is not None:
            return known
        whole = replace(seen, rollouts=self.rollouts, gateway=here, peers=peers)
        return self._merged.put(whole, seen, self.rollouts, peers)

    def record(self, observed: Observed, planner: Planner, now: datetime) -> bool:
        """Record which rollouts the last plan found stopped or complete; return whether any memory changed."""
        after = remember(observed, planner.evaluations, now)
        if after == self.rollouts:
            return False
        self._state.replace_rollout_memories(after)
        _log_changes(self.rollouts, after)
        self.rollouts = after
        return True


def record_gates(
    desired: Desired, planner: Planner, inventory: Inventory, artifacts: Mapping[ArtifactKey, Artifact]
) -> None:
    """Quarantine packs that failed a gate, so that they stay failed; set which devices' evidence gates await."""
    awaited: set[DeviceId] = set()
    for name in planner.evaluations:
        rollout = desired.rollouts[name]
        if not rollout.gates:
            continue
        for device, verdict in planner.verdicts(name).items():
            if device not in desired.devices:
                continue  # another gateway's
            if isinstance(verdict, SettledDevice) and verdict.pending_gate:
                awaited.add(device)
            if isinstance(verdict, FailedDevice) and verdict.failed_gate:
                artifact = artifacts.get((rollout.model, desired.devices[device].type))
                if artifact is not None and inventory.why_quarantined(device, artifact.digest) is None:
                    why = f"a gate failed: {verdict.failed_gate}"
                    log.warning("%s: %s: %s", device, rollout.model, why, extra={"reason": BlockedReason.GATE.value})
                    revision = revision_of(desired, name)
                    inventory.quarantine(QuarantineRecord(device, artifact.digest, why, name, revision))
    inventory.evidence.awaited = awaited


def _log_changes(before: Mapping[RolloutId, RolloutMemory], after: Mapping[RolloutId, RolloutMemory]) -> None:
    for name, each in after.items():
        old = before.get(name)
        known = old if old is not None and old.revision == each.revision else None
        if each.stopped and not (known is not None and known.stopped):
            log.warning("rollout %s %s", name, each.stopped)
        if each.completed_at is not None and (known is None or known.completed_at is None):
            log.info("rollout %s is complete", name)
