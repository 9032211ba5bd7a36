# SPDX-License-Identifier: Apache-2.0
"""The same plan, for the cost of what changed.

A `Planner` gives the answers of `plan`; a property test holds it to that. It remembers what each device was
evaluated from, how each rollout stands, and until when time alone changes none of it. Its inputs are snapshots
(reconciler.model.snapshot_cache): it takes the same object for an unchanged value, so a `Desired`, an `Observed` and
all that they hold must never be changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import (
    Action,
    Desired,
    Device,
    DeviceId,
    Digest,
    GatewayId,
    Observed,
    ObservedDevice,
    RolloutId,
)
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.plan.claims import Claim, Claims, unclaimed_device, unknown_device
from reconciler.plan.device.case import Case
from reconciler.plan.device.evaluate import NOTHING_FAILED, evaluate, evaluate_unseen, failures_by_device
from reconciler.plan.device.peers import PeerDevices
from reconciler.plan.device.rollout_goal import Goal
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.rollout.actions import PlanContext, earliest
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout_cache import RolloutCache


@dataclass(slots=True)
class _PlannedDevice:
    """One device: who claims it, and what it was last evaluated from."""

    device: Device
    claim: Claim
    rollout: RolloutCache | None
    goal: Goal | None = None
    seen: ObservedDevice | PeerDevices | None = None
    failed: frozenset[Digest] = NOTHING_FAILED
    until: datetime | None = None


class Planner:
    """Plans for one fleet, pass after pass. It must be used from only one thread."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._last: SnapshotCache[tuple[Action, ...]] = SnapshotCache()
        self._desired: Desired | None = None
        self._at: datetime | None = None
        self._until: datetime | None = None
        self._claims: Claims | None = None
        self._devices: dict[DeviceId, _PlannedDevice] = {}
        self._rollouts: dict[RolloutId, RolloutCache] = {}
        self._actions: dict[DeviceId, Action] = {}
        self._gateways: dict[DeviceId, GatewayId | None] = {}

    @property
    def evaluations(self) -> Mapping[RolloutId, RolloutEvaluation]:
        """The progress of each rollout that has devices."""
        return {name: each.evaluation for name, each in self._rollouts.items() if each.evaluation is not None}

    def verdicts(self, rollout: RolloutId) -> Mapping[DeviceId, DeviceVerdict]:
        """Return the verdict on each device of a rollout."""
        return self._rollouts[rollout].verdicts

    @property
    def until(self) -> datetime | None:
        """When time alone may change the last plan; None means never."""
        return self._until

    def plan(self, desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
        """Return what `plan` returns; the very same tuple while nothing can have changed."""
        if self._at is not None and now < self._at:
            self._forget()  # the clock went back: a device that had fallen silent may not be silent
        actions = self._last.get(desired, observed)
        if actions is not None and (self._until is None or now < self._until):
            return actions
        try:
            actions = self._replan(desired, observed, now)
        except BaseException:
            self._forget()  # the memory may be half updated
            raise
        self._desired, self._at = desired, now
        return self._last.put(actions, desired, observed)

    def _replan(self, desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
        self._claim_devices(desired)
        for rollout in self._rollouts.values():
            rollout.begin_pass(desired, observed)
        devices_until = self._evaluate_devices(desired, observed, now)
        rollouts_until = self._decide_actions(desired, now)
        self._until = earliest(devices_until, rollouts_until)
        unknown = observed.devices.keys() - desired.devices.keys()
        actions = self._actions
        return tuple(
            [
                actions[name] if name in actions else unknown_device(name)
                for name in sorted([*desired.devices, *unknown])
            ]
        )

    def _claim_devices(self, desired: Desired) -> None:
        """Assign every device to its rollout and gateway; only devices that changed move."""
        if desired is self._desired:
            return
        before, self._claims = self._claims, Claims(desired)
        claims, same_scope = self._claims, before is not None and before.scope == self._claims.scope
        for name, device in desired.devices.items():
            known = self._devices.get(name)
            if known is None or not same_scope or known.device is not device:
                self._assign(desired, device, claims.of(device))
        for name in self._devices.keys() - desired.devices.keys():
            self._remove(name)
        self._rollouts = {name: rollout for name, rollout in self._rollouts.items() if rollout.members}

    def _assign(self, desired: Desired, device: Device, claim: Claim) -> None:
        known = self._devices.get(device.name)
        if known is not None and known.device is device and known.claim == claim:
            return
        self._remove(device.name)
        rollout = None
        if claim.rollout is None:
            self._actions[device.name] = unclaimed_device(device.name)
        else:
            rollout = self._rollouts.get(claim.rollout)
            if rollout is None:
                rollout = self._rollouts[claim.rollout] = RolloutCache(desired.rollouts[claim.rollout])
            rollout.put(device)
        self._devices[device.name] = _PlannedDevice(device, claim, rollout)
        self._gateways[device.name] = claim.gateway

    def _remove(self, name: DeviceId) -> None:
        known = self._devices.pop(name, None)
        if known is None:
            return
        self._gateways.pop(name)
        self._actions.pop(name)
        if known.rollout is not None:
            known.rollout.remove(name)

    def _evaluate_devices(self, desired: Desired, observed: Observed, now: datetime) -> datetime | None:
        """Evaluate each device of which something changed; return until when all verdicts are valid."""
        failures = failures_by_device(observed)
        seen_of = observed.devices.get
        here = observed.gateway
        first: datetime | None = None
        for name, known in self._devices.items():
            rollout = known.rollout
            if rollout is None:
                continue
            gateway = known.claim.gateway
            if gateway is not None and gateway != here and here is not None:
                _evaluate_peer_device(rollout.peer(observed, gateway), rollout, name, known)
                continue
            goal = rollout.goals.get(known.device.type) or rollout.goal(desired, observed, known.device.type)
            seen = seen_of(name)
            failed = failures.get(name, NOTHING_FAILED)
            until = known.until
            if seen is not known.seen or goal is not known.goal or failed != known.failed or (until and now >= until):
                known.goal, known.seen, known.failed = goal, seen, failed
                verdict = evaluate_unseen(goal, name) if seen is None else evaluate(Case(goal, name, seen, failed, now))
                rollout.set_verdict(name, verdict)
                until = known.until = verdict.until
            if until is not None and (first is None or until < first):
                first = until
        return first

    def _decide_actions(self, desired: Desired, now: datetime) -> datetime | None:
        """Decide the actions of each rollout of which something changed; return until when all are valid."""
        evaluations = {name: rollout.evaluate(now) for name, rollout in self._rollouts.items()}
        incomplete = frozenset(name for name, evaluation in evaluations.items() if not evaluation.complete)
        context = PlanContext(desired, incomplete, self._gateways, now)
        until: datetime | None = None
        for name, rollout in self._rollouts.items():
            decided = rollout.decide(evaluations[name], context)
            if decided is not None:
                self._actions |= decided.actions
            if rollout.actions is not None:
                until = earliest(until, rollout.actions.until)
        return until


def _evaluate_peer_device(peer: PeerDevices, rollout: RolloutCache, name: DeviceId, known: _PlannedDevice) -> None:
    """Evaluate a device of another gateway, if that gateway reports something new."""
    if known.seen is not peer:
        known.goal, known.seen, known.until = None, peer, None
        rollout.set_verdict(name, peer.verdict(name))
