# SPDX-License-Identifier: Apache-2.0
"""The devices of one rollout, and what a planner keeps about them from plan to plan."""

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
from reconciler.model.snapshot_cache import reuse_if_equal
from reconciler.plan.device.peers import PeerDevices, peer_devices
from reconciler.plan.device.rollout_goal import Goal, goal_for
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.rollout.actions import PlanContext, RolloutActions, rollout_actions
from reconciler.plan.rollout.evaluation import RolloutEvaluation, RolloutHistory, evaluate_rollout, history_of
from reconciler.plan.rollout.waves import stable_order, update_order

RESORT_SHARE = 50  # if more than one in this many devices changed, all are sorted; otherwise they are moved one by one


@dataclass(frozen=True, slots=True)
class HoldInputs:
    """What the holds of a rollout depended on, besides the rollout and its devices."""

    incomplete: frozenset[RolloutId]  # those of `depends_on` that are not complete
    fleet_windows: tuple[MaintenanceWindow, ...]
    gateway_windows: Mapping[GatewayId, tuple[MaintenanceWindow, ...]]


@dataclass(slots=True)
class RolloutCache:
    """The devices of one rollout, their verdicts, and what follows from them."""

    rollout: Rollout
    members: dict[DeviceId, Device] = field(default_factory=dict)
    goals: dict[TypeId, Goal] = field(default_factory=dict)  # of this pass
    goals_before: dict[TypeId, Goal] = field(default_factory=dict)  # of the previous pass
    verdicts: dict[DeviceId, DeviceVerdict] = field(default_factory=dict)
    order: list[Device] | None = None  # None: to be sorted
    changed: set[DeviceId] = field(default_factory=set)  # added, removed or changed since `order` was computed
    evaluation: RolloutEvaluation | None = None  # None: to be evaluated
    history: RolloutHistory = field(default_factory=RolloutHistory)
    peers: dict[GatewayId, PeerDevices] = field(default_factory=dict)
    hold_inputs: HoldInputs | None = None
    actions: RolloutActions | None = None  # None: to be decided

    def put(self, device: Device) -> None:
        """Add a device, or replace it by its new version."""
        self.members[device.name] = device
        self.changed.add(device.name)
        self.evaluation = None

    def remove(self, device: DeviceId) -> None:
        """Remove a device."""
        del self.members[device]
        self.verdicts.pop(device, None)
        self.changed.add(device)
        self.evaluation = None

    def begin_pass(self, desired: Desired, observed: Observed) -> None:
        """Take in what may have changed about the rollout itself."""
        rollout = desired.rollouts[self.rollout.name]
        history = history_of(desired, observed, rollout.name)
        if history != self.history:
            self.history, self.evaluation = history, None
        for gateway, before in self.peers.items():
            current = peer_devices(observed, rollout.name, gateway, history.revision)
            self.peers[gateway] = reuse_if_equal(before, current)
        if rollout != self.rollout:
            self.evaluation = None
            if rollout.model != self.rollout.model:
                self.order = None
            self.rollout = rollout
        self.goals_before, self.goals = self.goals, {}

    def goal(self, desired: Desired, observed: Observed, type_id: TypeId) -> Goal:
        """Make the goal for one device type; the object of the pass before if it is equal."""
        goal = reuse_if_equal(self.goals_before.get(type_id), goal_for(desired, observed, self.rollout.name, type_id))
        self.goals[type_id] = goal
        return goal

    def peer(self, observed: Observed, gateway: GatewayId) -> PeerDevices:
        """Return what another gateway reports; the object of the pass before if it is equal."""
        peer = self.peers.get(gateway)
        if peer is None:
            peer = peer_devices(observed, self.rollout.name, gateway, self.history.revision)
            self.peers[gateway] = peer
        return peer

    def set_verdict(self, device: DeviceId, verdict: DeviceVerdict) -> None:
        """Keep a verdict. One that is equal but stays valid longer does not make the rollout stale."""
        before = self.verdicts.get(device)
        if reuse_if_equal(before, verdict) is not before:
            self.verdicts[device] = verdict
            self.evaluation = None

    def evaluate(self, now: datetime) -> RolloutEvaluation:
        """Evaluate the rollout, unless nothing that it depends on can have changed."""
        until = None if self.actions is None else self.actions.until
        evaluation = self.evaluation
        if evaluation is None or (until is not None and now >= until):
            evaluation = evaluate_rollout(self.rollout, self._ordered(), self.verdicts, self.history, now)
            self.evaluation, self.actions = evaluation, None
        return evaluation

    def decide(self, evaluation: RolloutEvaluation, context: PlanContext) -> RolloutActions | None:
        """Decide the actions of the devices; None if they equal those of the previous pass."""
        inputs = HoldInputs(
            frozenset(context.incomplete).intersection(self.rollout.depends_on),
            context.desired.fleet.windows,
            {name: gateway.windows for name, gateway in context.desired.gateways.items()},
        )
        if self.actions is not None and self.hold_inputs == inputs:
            return None
        self.actions = rollout_actions(self.rollout, evaluation, self.verdicts, context)
        self.hold_inputs = inputs
        return self.actions

    def _ordered(self) -> list[Device]:
        if self.order is None or len(self.changed) * RESORT_SHARE > len(self.members):
            self.order = stable_order(self.rollout, self.members.values())
        elif self.changed:
            self.order = update_order(self.rollout, self.order, self.changed, self.members)
        self.changed.clear()
        return self.order
