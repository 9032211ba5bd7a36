# SPDX-License-Identifier: Apache-2.0
"""The same plan, for the cost of what changed.

A `Planner` gives what `plan` gives (a property test holds it to that) and remembers what each device
was judged by, how far each rollout was, and until when time alone changes none of it. It takes "the
same object" for "unchanged", which is right as long as nobody changes a `Desired`, an `Observed` or
anything in them in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, Desired, Device, DeviceId, Digest, GatewayId, NoChange, Observed, ObservedDevice, RolloutId
from reconciler.plan.claims import Claim, Claims
from reconciler.plan.device.evaluate import NOTHING_FAILED, evaluate
from reconciler.plan.device.goal import Goal
from reconciler.plan.device.peers import PeerDevices
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.incremental import ReleaseInputs, RolloutCache
from reconciler.plan.reference import UNCLAIMED, failures, unknown
from reconciler.plan.rollout.evaluation import PlanContext, RolloutEvaluation, earliest, release


@dataclass(slots=True)
class _DeviceSlot:
    """One device: where it sits, and what it was judged by."""

    device: Device
    claim: Claim
    group: RolloutCache | None
    goal: Goal | None = None
    seen: ObservedDevice | PeerDevices | None = None
    failed: frozenset[Digest] = NOTHING_FAILED
    until: datetime | None = None


class Planner:
    """Plans again and again for one fleet."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._desired: Desired | None = None
        self._observed: Observed | None = None
        self._at: datetime | None = None
        self._until: datetime | None = None
        self._claims: Claims | None = None
        self._seats: dict[DeviceId, _DeviceSlot] = {}
        self._groups: dict[RolloutId, RolloutCache] = {}
        self._by_name: dict[DeviceId, Action] = {}
        self._gateways: dict[DeviceId, GatewayId | None] = {}
        self._actions: tuple[Action, ...] = ()

    @property
    def courses(self) -> Mapping[RolloutId, RolloutEvaluation]:
        """Return how far each rollout is that has devices."""
        return {name: group.course for name, group in self._groups.items() if group.course is not None}

    def verdicts(self, rollout: RolloutId) -> Mapping[DeviceId, DeviceVerdict]:
        """Return how each device of a rollout was judged."""
        return self._groups[rollout].verdicts

    @property
    def until(self) -> datetime | None:
        """Tell when time alone may change the last plan; None is never."""
        return self._until

    def plan(self, desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
        """Return what `plan` returns; the very same tuple while nothing can have changed."""
        if self._at is not None and now < self._at:
            self._forget()  # the clock was put back: what was found silent may not be
        same = desired is self._desired and observed is self._observed
        if same and (self._until is None or now < self._until):
            return self._actions
        try:
            self._replan(desired, observed, now)
        except BaseException:
            self._forget()  # half of a new state is worth nothing
            raise
        return self._actions

    def _replan(self, desired: Desired, observed: Observed, now: datetime) -> None:
        claims, reclaim = self._claim(desired)
        self._seat(desired, observed, claims, reclaim=reclaim)
        verdicts_until = self._judge(desired, observed, now)
        releases_until = self._release(desired, now)
        strangers = observed.devices.keys() - desired.devices.keys()
        names = sorted([*desired.devices, *strangers])
        by_name = self._by_name
        self._actions = tuple([by_name[name] if name in by_name else unknown(name) for name in names])
        self._desired, self._observed, self._at = desired, observed, now
        self._until = earliest(verdicts_until, releases_until)

    def _claim(self, desired: Desired) -> tuple[Claims, bool]:
        """Prepare the selectors; tell whether they claim otherwise than before."""
        if self._claims is not None and desired is self._desired:
            return self._claims, False
        before, self._claims = self._claims, Claims(desired)
        return self._claims, before is None or before.scope != self._claims.scope

    def _seat(self, desired: Desired, observed: Observed, claims: Claims, *, reclaim: bool) -> None:
        """Give every device its place; only those that changed move."""
        if desired is not self._desired:
            seats = self._seats
            for name, device in desired.devices.items():
                seat = seats.get(name)
                if seat is None or reclaim or seat.device is not device:
                    self._seat_one(desired, device, claims.of(device))
            for name in seats.keys() - desired.devices.keys():
                self._leave(name)
            self._groups = {name: group for name, group in self._groups.items() if group.members}
        for group in self._groups.values():
            group.begin(desired, observed)

    def _seat_one(self, desired: Desired, device: Device, claim: Claim) -> None:
        seat = self._seats.get(device.name)
        if seat is not None and seat.device is device and seat.claim == claim:
            return
        self._leave(device.name)
        group = None
        if claim.rollout is None:
            self._by_name[device.name] = NoChange(device.name, UNCLAIMED)
        else:
            group = self._groups.get(claim.rollout)
            if group is None:
                group = self._groups[claim.rollout] = RolloutCache(desired.rollouts[claim.rollout])
            group.put(device)
        self._seats[device.name] = _DeviceSlot(device, claim, group)
        self._gateways[device.name] = claim.gateway

    def _leave(self, name: DeviceId) -> None:
        seat = self._seats.pop(name, None)
        if seat is None:
            return
        self._gateways.pop(name)
        self._by_name.pop(name)
        if seat.group is not None:
            seat.group.take(name)

    def _judge(self, desired: Desired, observed: Observed, now: datetime) -> datetime | None:
        """Judge anew each device of which something changed; return when the first verdict goes stale."""
        failed = failures(observed)
        seen_of = observed.devices.get
        here = observed.gateway
        first: datetime | None = None
        for name, seat in self._seats.items():
            group = seat.group
            if group is None:
                continue
            gateway = seat.claim.gateway
            if gateway is not None and gateway != here and here is not None:
                _judge_elsewhere(group.elsewhere_at(observed, gateway), group, name, seat)
                continue
            kind = seat.device.type
            goal = group.goals.get(kind) or group.goal_for(desired, observed, kind)
            seen = seen_of(name)
            lost = failed.get(name, NOTHING_FAILED)
            until = seat.until
            if seen is not seat.seen or goal is not seat.goal or lost != seat.failed or (until and now >= until):
                seat.goal, seat.seen, seat.failed = goal, seen, lost
                until = seat.until = group.note(name, evaluate(goal, name, seen, lost, now))
            if until is not None and (first is None or until < first):
                first = until
        return first

    def _release(self, desired: Desired, now: datetime) -> datetime | None:
        """Follow each rollout of which something changed; return when time alone may change one."""
        courses = {name: group.followed(now) for name, group in self._groups.items()}
        incomplete = frozenset(name for name, course in courses.items() if not course.complete)
        scene = PlanContext(desired, incomplete, now)
        windows = {name: gateway.windows for name, gateway in desired.gateways.items()}
        until: datetime | None = None
        for name, group in self._groups.items():
            context = ReleaseInputs(incomplete.intersection(group.rollout.depends_on), desired.fleet.windows, windows)
            released = group.release
            if released is None or group.context != context:
                released = release(group.rollout, courses[name], group.verdicts, self._gateways, scene)
                group.release, group.context = released, context
                self._by_name |= released.actions
            until = earliest(until, released.until)
        return until


def _judge_elsewhere(found: PeerDevices, group: RolloutCache, name: DeviceId, seat: _DeviceSlot) -> None:
    """Judge a device of another gateway anew where that gateway says something else than before."""
    if seat.seen is not found:
        seat.goal, seat.seen, seat.until = None, found, None
        group.note(name, found.verdict(name))
