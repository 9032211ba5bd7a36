# SPDX-License-Identifier: Apache-2.0
"""The definition of a plan, in its plainest form. `Planner` gives the same answers for less work.

This module shares the evaluation of devices and rollouts with `Planner`, but none of its memory, so that each
can be tested against the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, Desired, Device, DeviceId, GatewayId, Observed, RolloutId
from reconciler.plan.claims import Claims, unclaimed_device, unknown_device
from reconciler.plan.device.case import Case
from reconciler.plan.device.evaluate import NOTHING_FAILED, evaluate, evaluate_unseen, failures_by_device
from reconciler.plan.device.peers import is_peer_device, peer_devices
from reconciler.plan.device.rollout_goal import goals_for
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.revision import revision_of
from reconciler.plan.rollout.actions import PlanContext, rollout_actions
from reconciler.plan.rollout.evaluation import RolloutEvaluation, evaluate_rollout, history_of
from reconciler.plan.rollout.waves import stable_order


@dataclass(frozen=True, slots=True)
class DetailedPlan:
    """A plan, and the progress of the rollouts that it follows from."""

    actions: tuple[Action, ...]
    evaluations: Mapping[RolloutId, RolloutEvaluation]  # of the rollouts that have devices


def plan(desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """Return exactly one action for every device in Git and every device that reports, sorted by name."""
    return detailed_plan(desired, observed, now).actions


def detailed_plan(desired: Desired, observed: Observed, now: datetime) -> DetailedPlan:
    """Plan, and also return the progress of each rollout."""
    claims = Claims(desired)
    members: dict[RolloutId, list[Device]] = {}
    gateways: dict[DeviceId, GatewayId | None] = {}
    actions: dict[DeviceId, Action] = {}
    for name, device in desired.devices.items():
        claim = claims.of(device)
        gateways[name] = claim.gateway
        if claim.rollout is None:
            actions[name] = unclaimed_device(name)
        else:
            members.setdefault(claim.rollout, []).append(device)
    states = {rollout: _RolloutState(desired, observed, rollout, gateways) for rollout in members}
    verdicts = {rollout: states[rollout].verdicts(devices, now) for rollout, devices in members.items()}
    evaluations = {
        rollout: states[rollout].evaluation(devices, verdicts[rollout], now) for rollout, devices in members.items()
    }
    incomplete = {rollout for rollout, evaluation in evaluations.items() if not evaluation.complete}
    context = PlanContext(desired, incomplete, gateways, now)
    for rollout, evaluation in evaluations.items():
        actions |= rollout_actions(desired.rollouts[rollout], evaluation, verdicts[rollout], context).actions
    for name in observed.devices.keys() - desired.devices.keys():
        actions[name] = unknown_device(name)
    return DetailedPlan(tuple(actions[name] for name in sorted(actions)), evaluations)


@dataclass(frozen=True, slots=True)
class _RolloutState:
    """What the evaluation of one rollout depends on, besides its devices and the time."""

    desired: Desired
    observed: Observed
    rollout: RolloutId
    gateways: Mapping[DeviceId, GatewayId | None]

    def verdicts(self, devices: list[Device], now: datetime) -> dict[DeviceId, DeviceVerdict]:
        """Evaluate each device on its own: ours by what they report, others by what their gateways report."""
        desired, observed, rollout = self.desired, self.observed, self.rollout
        goals = goals_for(desired, observed, {(rollout, device.type) for device in devices})
        failed = failures_by_device(observed)
        revision = revision_of(desired, rollout)
        verdicts = {}
        for device in devices:
            name, gateway = device.name, self.gateways[device.name]
            goal, seen = goals[rollout, device.type], observed.devices.get(name)
            if gateway is not None and is_peer_device(observed, gateway):
                verdicts[name] = peer_devices(observed, rollout, gateway, revision).verdict(name)
            elif seen is None:
                verdicts[name] = evaluate_unseen(goal, name)
            else:
                verdicts[name] = evaluate(Case(goal, name, seen, failed.get(name, NOTHING_FAILED), now))
        return verdicts

    def evaluation(
        self, devices: list[Device], verdicts: Mapping[DeviceId, DeviceVerdict], now: datetime
    ) -> RolloutEvaluation:
        """Evaluate the rollout as a whole."""
        rollout = self.desired.rollouts[self.rollout]
        history = history_of(self.desired, self.observed, self.rollout)
        return evaluate_rollout(rollout, stable_order(rollout, devices), verdicts, history, now)
