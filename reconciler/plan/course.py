# SPDX-License-Identifier: Apache-2.0
"""One rollout as a whole: how far it is, and what its devices may do now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, Desired, Device, DeviceId, GatewayId, Rollout, RolloutId
from reconciler.plan.gates import Doors, gate, is_stand_in, standing_order, step_holdings
from reconciler.plan.verdict import Standing, Verdict
from reconciler.plan.waves import Progress, Step, arrange, survey


@dataclass(frozen=True, slots=True)
class Course:
    """How far a rollout is."""

    steps: tuple[Step, ...]
    progress: Progress
    complete: bool


def follow(rollout: Rollout, order: Sequence[Device], verdicts: Mapping[DeviceId, Verdict], now: datetime) -> Course:
    """See how far a rollout is. `order` holds all its devices, as `stable_order` puts them.

    Devices that can never have the model are no part of any wave. A rollout that none of its
    devices can take shows nothing, and is not complete.
    """
    able = [device for device in order if verdicts[device.name].standing is not Standing.OUT]
    steps = arrange(rollout, able)
    progress = survey(rollout, steps, verdicts, now)
    return Course(steps, progress, complete=progress.complete and bool(able))


@dataclass(frozen=True, slots=True)
class Release:
    """What a rollout's devices do now, and when time alone may change that."""

    actions: dict[DeviceId, Action]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rollout's gates look at beyond its own devices."""

    desired: Desired
    incomplete: Collection[RolloutId]
    now: datetime


def release(
    rollout: Rollout,
    course: Course,
    verdicts: Mapping[DeviceId, Verdict],
    gateways: Mapping[DeviceId, GatewayId | None],
    scene: Scene,
) -> Release:
    """Let each device's change through, or hold it."""
    doors = Doors(scene.desired, rollout, scene.now)
    everyone = standing_order(rollout, scene.incomplete)
    holdings = step_holdings(rollout, course.steps, course.progress)
    held = {
        name: everyone or holding for step, holding in zip(course.steps, holdings, strict=True) for name in step.members
    }
    actions = {}
    for name, verdict in verdicts.items():
        if verdict.standing is Standing.SETTLED:  # most devices, most of the time: nothing to hold
            actions[name] = verdict.action
            continue
        holding = everyone if is_stand_in(verdict) else held.get(name)
        actions[name] = gate(verdict, rollout, holding, gateways[name], doors)
    return Release(actions, earliest(doors.until, course.progress.until))


def earliest(*moments: datetime | None) -> datetime | None:
    """Choose the first of several moments; None is never."""
    return min((moment for moment in moments if moment is not None), default=None)
