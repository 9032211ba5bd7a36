# SPDX-License-Identifier: Apache-2.0
"""The inputs for the evaluation of one device, as one value, and the facts that follow from them directly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.model import DeviceId, Digest, ObservedDevice, Phase, short_digest
from reconciler.plan.device.rollout_goal import Goal


@dataclass(frozen=True, slots=True)
class Case:
    """One device that has reported, its goal, the packs that failed on it, and the time."""

    goal: Goal
    device: DeviceId
    seen: ObservedDevice
    failed: frozenset[Digest]
    now: datetime

    @property
    def silent_at(self) -> datetime:
        """When the device counts as not reporting, unless it reports again."""
        return self.seen.last_seen + self.goal.silent_after

    @property
    def runs_goal(self) -> bool:
        """Whether the device runs the pack of its goal, on trial or confirmed."""
        pack = self.goal.pack
        return pack is not None and short_digest(self.seen.running) == pack

    @property
    def has_prebaked_goal(self) -> bool:
        """Whether the device was provisioned with the model of its goal. Its report overrides its type."""
        return has_prebaked_goal(self.goal, self.seen)

    @property
    def is_trying(self) -> bool:
        """Whether the device holds the whole pack of its goal and has yet to confirm it."""
        pack, seen = self.goal.pack, self.seen
        if pack is None:
            return False
        staged = seen.phase is Phase.STAGED and short_digest(seen.incoming) == pack
        return staged or (seen.phase is Phase.TRIAL and short_digest(seen.running) == pack)

    @property
    def has_begun(self) -> bool:
        """Whether the pack of the goal is being transferred or on trial. A change of parameters does not count."""
        pack, seen = self.goal.pack, self.seen
        if pack is None:
            return False
        return short_digest(seen.incoming) == pack or (seen.phase is Phase.TRIAL and short_digest(seen.running) == pack)


def has_prebaked_goal(goal: Goal, seen: ObservedDevice | None) -> bool:
    """Whether a device, which may never have reported, was provisioned with the model of its goal."""
    reported = seen.capabilities if seen is not None else None
    if reported is None or goal.pack is None:
        return goal.is_prebaked
    return any(short_digest(digest) == goal.pack for digest in reported.prebaked)
