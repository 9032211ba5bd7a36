# SPDX-License-Identifier: Apache-2.0
"""The devices of one rollout, and what a planner remembers of them from plan to plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import (
    Desired,
    Device,
    DeviceId,
    GatewayId,
    MaintenanceWindow,
    Observed,
    Rollout,
    RolloutId,
    TypeId,
)
from reconciler.plan.device.goal import Goal, gather
from reconciler.plan.device.peers import PeerDevices, peer_devices
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.revision import revision_of
from reconciler.plan.rollout.evaluation import Release, RolloutEvaluation, RolloutHistory, follow, past
from reconciler.plan.rollout.waves import reordered, stable_order

NOTHING_PAST = RolloutHistory()
FEW = 50  # up to one device in so many is put into its place alone; for more all are sorted again


@dataclass(frozen=True, slots=True)
class ReleaseInputs:
    """What a release was decided by, beyond the rollout and its devices."""

    holding: frozenset[RolloutId]  # those of `depends_on` that are not complete
    fleet_windows: tuple[MaintenanceWindow, ...]
    gateway_windows: Mapping[GatewayId, tuple[MaintenanceWindow, ...]]


@dataclass(slots=True)
class RolloutCache:
    """The devices of one rollout, and what was found of them."""

    rollout: Rollout
    members: dict[DeviceId, Device] = field(default_factory=dict)
    goals: dict[TypeId, Goal] = field(default_factory=dict)  # of this pass
    goals_before: dict[TypeId, Goal] = field(default_factory=dict)
    verdicts: dict[DeviceId, DeviceVerdict] = field(default_factory=dict)
    order: list[Device] | None = None  # None: to be found anew
    moved: set[DeviceId] = field(default_factory=set)  # who came, went or changed since `order` was found
    course: RolloutEvaluation | None = None  # None: to be found anew
    revision: str = ""
    before: RolloutHistory = NOTHING_PAST
    elsewheres: dict[GatewayId, PeerDevices] = field(default_factory=dict)
    context: ReleaseInputs | None = None
    release: Release | None = None

    def put(self, device: Device) -> None:
        """Take a device in, or what changed of it."""
        self.members[device.name] = device
        self.moved.add(device.name)
        self.course = None

    def take(self, name: DeviceId) -> None:
        """Let a device go."""
        del self.members[name]
        self.verdicts.pop(name, None)
        self.moved.add(name)
        self.course = None

    def begin(self, desired: Desired, observed: Observed) -> None:
        """Begin a pass: the rollout itself may have changed, and so may what is remembered of it."""
        rollout = desired.rollouts[self.rollout.name]
        self.revision = revision_of(desired, rollout.name)
        before = past(observed, rollout.name, self.revision)
        if before != self.before:
            self.before, self.course = before, None
        for gateway, known in self.elsewheres.items():
            found = peer_devices(observed, rollout.name, gateway, self.revision)
            self.elsewheres[gateway] = known if known == found else found
        if rollout != self.rollout:
            self.course = None
            if rollout.model != self.rollout.model:
                self.order = None
            self.rollout = rollout
        self.goals_before, self.goals = self.goals, {}

    def ordered(self) -> list[Device]:
        """Return the members in their stable order."""
        if self.order is None or len(self.moved) * FEW > len(self.members):
            self.order = stable_order(self.rollout, self.members.values())
        elif self.moved:
            self.order = reordered(self.rollout, self.order, self.moved, self.members)
        self.moved.clear()
        return self.order

    def goal_for(self, desired: Desired, observed: Observed, kind: TypeId) -> Goal:
        """Make the goal for one device type; the one of the pass before, where it says the same."""
        pair = (self.rollout.name, kind)
        made, before = gather(desired, observed, [pair])[pair], self.goals_before.get(kind)
        self.goals[kind] = goal = before if before is not None and before == made else made
        return goal

    def elsewhere_at(self, observed: Observed, gateway: GatewayId) -> PeerDevices:
        """Return what another gateway says; the very value of before while that is nothing new."""
        found = self.elsewheres.get(gateway)
        if found is None:
            found = self.elsewheres[gateway] = peer_devices(observed, self.rollout.name, gateway, self.revision)
        return found

    def note(self, name: DeviceId, verdict: DeviceVerdict) -> datetime | None:
        """Note a verdict; return until when it stands. That one merely holds longer than before is no news."""
        before = self.verdicts.get(name)
        if before is None or not before.says_the_same(verdict):
            self.verdicts[name] = verdict
            self.course = None
        return verdict.until

    def followed(self, now: datetime) -> RolloutEvaluation:
        """See how far the rollout is, unless nothing can have changed that."""
        until = None if self.release is None else self.release.until
        course = self.course
        if course is None or (until is not None and now >= until):
            course = self.course = follow(
                self.rollout, self.ordered(), self.verdicts, now, revision=self.revision, before=self.before
            )
            self.release = None
        return course
