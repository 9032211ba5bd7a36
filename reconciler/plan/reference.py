# SPDX-License-Identifier: Apache-2.0
"""The definition of a plan, in the plainest form: `Planner` gives the same answers for less work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, Blocked, BlockedReason, Desired, Device, DeviceId, Digest, GatewayId, NoChange, Observed, RolloutId
from reconciler.plan.claims import Claims
from reconciler.plan.device.evaluate import NOTHING_FAILED, evaluate
from reconciler.plan.device.goal import gather
from reconciler.plan.device.peers import is_peer_device, peer_devices
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.revision import revision_of
from reconciler.plan.rollout.evaluation import PlanContext, RolloutEvaluation, follow, past, release
from reconciler.plan.rollout.waves import stable_order

UNCLAIMED = "no rollout wants anything of it"
UNKNOWN = "reports, but Git does not know it"


@dataclass(frozen=True, slots=True)
class DetailedPlan:
    """A plan, and how far the rollouts are by which it was made."""

    actions: tuple[Action, ...]
    courses: Mapping[RolloutId, RolloutEvaluation]  # of the rollouts that have devices


def plan(desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """Return exactly one action for every device of Git and every device that reports, by name."""
    return detailed_plan(desired, observed, now).actions


def detailed_plan(desired: Desired, observed: Observed, now: datetime) -> DetailedPlan:
    """Plan, and tell how far each rollout is too."""
    claims = Claims(desired)
    claimed: dict[RolloutId, list[Device]] = {}
    gateways = {}
    actions: dict[DeviceId, Action] = {}
    for name, device in desired.devices.items():
        claim = claims.of(device)
        gateways[name] = claim.gateway
        if claim.rollout is None:
            actions[name] = NoChange(name, UNCLAIMED)
        else:
            claimed.setdefault(claim.rollout, []).append(device)
    verdicts = {
        rollout: _judge_all(desired, observed, rollout, devices, gateways, now) for rollout, devices in claimed.items()
    }
    courses = {
        rollout: _course(desired, observed, rollout, devices, verdicts[rollout], now)
        for rollout, devices in claimed.items()
    }
    scene = PlanContext(desired, {rollout for rollout, course in courses.items() if not course.complete}, now)
    for rollout, course in courses.items():
        actions |= release(desired.rollouts[rollout], course, verdicts[rollout], gateways, scene).actions
    for name in observed.devices.keys() - desired.devices.keys():
        actions[name] = unknown(name)
    return DetailedPlan(tuple(actions[name] for name in sorted(actions)), courses)


def _judge_all(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    desired: Desired,
    observed: Observed,
    rollout: RolloutId,
    devices: list[Device],
    gateways: Mapping[DeviceId, GatewayId | None],
    now: datetime,
) -> dict[DeviceId, DeviceVerdict]:
    """Judge all devices of one rollout, each alone: ours by what they said, others by what their gateways say."""
    goals = gather(desired, observed, {(rollout, device.type) for device in devices})
    failed = failures(observed)
    current = revision_of(desired, rollout)
    verdicts = {}
    for device in devices:
        gateway = gateways[device.name]
        if gateway is not None and is_peer_device(observed, gateway):
            verdicts[device.name] = peer_devices(observed, rollout, gateway, current).verdict(device.name)
            continue
        verdicts[device.name] = evaluate(
            goals[rollout, device.type],
            device.name,
            observed.devices.get(device.name),
            failed.get(device.name, NOTHING_FAILED),
            now,
        )
    return verdicts


def _course(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    desired: Desired,
    observed: Observed,
    name: RolloutId,
    devices: list[Device],
    verdicts: Mapping[DeviceId, DeviceVerdict],
    now: datetime,
) -> RolloutEvaluation:
    rollout, current = desired.rollouts[name], revision_of(desired, name)
    before = past(observed, name, current)
    return follow(rollout, stable_order(rollout, devices), verdicts, now, revision=current, before=before)


def failures(observed: Observed) -> dict[DeviceId, frozenset[Digest]]:
    """Sort the quarantined digests by device."""
    failed: dict[DeviceId, set[Digest]] = {}
    for device, digest in observed.quarantined:
        failed.setdefault(device, set()).add(digest)
    return {device: frozenset(digests) for device, digests in failed.items()}


def unknown(name: DeviceId) -> Blocked:
    """Say of a device that reports that Git does not know it."""
    return Blocked(name, None, BlockedReason.UNKNOWN, UNKNOWN)
