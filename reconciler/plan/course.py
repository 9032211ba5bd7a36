# SPDX-License-Identifier: Apache-2.0
"""One rollout as a whole: how far it is, and what its devices may do now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import (
    Action,
    Desired,
    Device,
    DeviceId,
    GatewayId,
    HoldReason,
    Observed,
    OnFailure,
    Rollout,
    RolloutId,
)
from reconciler.plan.elsewhere import stopped_elsewhere
from reconciler.plan.gates import Doors, gate, is_stand_in, let_through, standing_order, step_holdings
from reconciler.plan.holding import Holding
from reconciler.plan.places import NOBODY, withheld
from reconciler.plan.progress import Progress, survey
from reconciler.plan.verdict import Standing, Verdict
from reconciler.plan.waves import Step, arrange


@dataclass(frozen=True, slots=True)
class Past:
    """What a rollout can't be let forget: that it was stopped, here or by another gateway, or complete once."""

    stopped: str = ""
    completed: bool = False


def past(observed: Observed, rollout: RolloutId, wish: str) -> Past:
    """See what is remembered of a rollout; what belongs to another wish of Git is over."""
    memory = observed.rollouts.get(rollout)
    ours = memory if memory is not None and memory.wish == wish else None
    stopped = ours.stopped if ours is not None else ""
    completed = ours is not None and ours.completed_at is not None
    return Past(stopped or stopped_elsewhere(observed.peers, rollout, wish), completed)


@dataclass(frozen=True, slots=True)
class Course:
    """How far a rollout is."""

    steps: tuple[Step, ...]
    progress: Progress
    complete: bool
    wish: str = ""
    taken_back: bool = False
    withheld: Mapping[DeviceId, Holding] = field(default_factory=dict)  # who must not begin yet though its wave is open


def follow(  # noqa: PLR0913 - one parameter for each thing that this depends on
    rollout: Rollout,
    order: Sequence[Device],
    verdicts: Mapping[DeviceId, Verdict],
    now: datetime,
    *,
    wish: str = "",
    before: Past = Past(),
) -> Course:
    """See how far a rollout is. `order` holds all its devices, as `stable_order` puts them.

    Devices that can never have the model are no part of any wave. A rollout that none of its
    devices can take shows nothing, and is not complete.
    """
    able = [device for device in order if verdicts[device.name].standing is not Standing.OUT]
    steps = arrange(rollout, able)
    progress = survey(rollout, steps, verdicts, now, before.stopped)
    # What was complete once is not taken back because a device that came later fails.
    taken_back = bool(progress.stopped) and rollout.on_failure is OnFailure.TAKE_BACK and not before.completed
    return Course(
        steps,
        progress,
        complete=progress.complete and bool(able) and not progress.stopped,
        wish=wish,
        taken_back=taken_back,
        withheld=withheld(rollout, order, verdicts, progress) if able else NOBODY,
    )


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
    holdings = step_holdings(rollout, course.steps, course.progress, taken_back=course.taken_back)
    held = {
        name: everyone or holding for step, holding in zip(course.steps, holdings, strict=True) for name in step.members
    }
    actions = {}
    for name, verdict in verdicts.items():
        if course.taken_back and verdict.back is not None:
            actions[name] = let_through(verdict.back, rollout, everyone, gateways[name], doors)
            continue
        if verdict.standing is Standing.SETTLED:  # most devices, most of the time: nothing to hold
            actions[name] = verdict.action
            continue
        if is_stand_in(verdict):
            holding = everyone
        else:
            holding = held.get(name) or course.withheld.get(name)
            if holding is None and verdict.rests:
                holding = Holding(HoldReason.FLAPPING, verdict.rests)
        actions[name] = gate(verdict, rollout, holding, gateways[name], doors)
    return Release(actions, earliest(doors.until, course.progress.until))


def earliest(*moments: datetime | None) -> datetime | None:
    """Choose the first of several moments; None is never."""
    return min((moment for moment in moments if moment is not None), default=None)
