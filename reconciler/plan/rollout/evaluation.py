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
from reconciler.plan.device.peers import stopped_by_peer
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict
from reconciler.plan.rollout.disruption import NOBODY, withheld
from reconciler.plan.rollout.hold import HoldCause
from reconciler.plan.rollout.holds import RolloutWindows, apply_holds, hold_all, is_fallback, let_through, step_holdings
from reconciler.plan.rollout.progress import RolloutProgress, survey
from reconciler.plan.rollout.waves import WaveStep, arrange


@dataclass(frozen=True, slots=True)
class RolloutHistory:
    """What a rollout can't be let forget: that it was stopped, here or by another gateway, or complete once."""

    stopped: str = ""
    completed: bool = False


def past(observed: Observed, rollout: RolloutId, revision: str) -> RolloutHistory:
    """See what is remembered of a rollout; what belongs to another revision is over."""
    memory = observed.rollouts.get(rollout)
    ours = memory if memory is not None and memory.revision == revision else None
    stopped = ours.stopped if ours is not None else ""
    completed = ours is not None and ours.completed_at is not None
    return RolloutHistory(stopped or stopped_by_peer(observed.peers, rollout, revision), completed)


@dataclass(frozen=True, slots=True)
class RolloutEvaluation:
    """How far a rollout is."""

    steps: tuple[WaveStep, ...]
    progress: RolloutProgress
    complete: bool
    revision: str = ""
    rolled_back: bool = False
    withheld: Mapping[DeviceId, HoldCause] = field(
        default_factory=dict
    )  # who must not begin yet though its wave is open


def follow(  # noqa: PLR0913 - one parameter for each thing that this depends on
    rollout: Rollout,
    order: Sequence[Device],
    verdicts: Mapping[DeviceId, DeviceVerdict],
    now: datetime,
    *,
    revision: str = "",
    before: RolloutHistory = RolloutHistory(),
) -> RolloutEvaluation:
    """See how far a rollout is. `order` holds all its devices, as `stable_order` puts them.

    Devices that can never have the model are no part of any wave. A rollout that none of its
    devices can take shows nothing, and is not complete.
    """
    able = [device for device in order if verdicts[device.name].standing is not DeviceStanding.OUT]
    steps = arrange(rollout, able)
    progress = survey(rollout, steps, verdicts, now, before.stopped)
    # What was complete once is not taken back because a device that came later fails.
    rolled_back = bool(progress.stopped) and rollout.on_failure is OnFailure.ROLL_BACK and not before.completed
    return RolloutEvaluation(
        steps,
        progress,
        complete=progress.complete and bool(able) and not progress.stopped,
        revision=revision,
        rolled_back=rolled_back,
        withheld=withheld(rollout, order, verdicts, progress) if able else NOBODY,
    )


@dataclass(frozen=True, slots=True)
class Release:
    """What a rollout's devices do now, and when time alone may change that."""

    actions: dict[DeviceId, Action]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a rollout's gates look at beyond its own devices."""

    desired: Desired
    incomplete: Collection[RolloutId]
    now: datetime


def release(
    rollout: Rollout,
    course: RolloutEvaluation,
    verdicts: Mapping[DeviceId, DeviceVerdict],
    gateways: Mapping[DeviceId, GatewayId | None],
    scene: PlanContext,
) -> Release:
    """Let each device's change through, or hold it."""
    doors = RolloutWindows(scene.desired, rollout, scene.now)
    everyone = hold_all(rollout, scene.incomplete)
    holdings = step_holdings(rollout, course.steps, course.progress, rolled_back=course.rolled_back)
    held = {
        name: everyone or holding for step, holding in zip(course.steps, holdings, strict=True) for name in step.members
    }
    actions = {}
    for name, verdict in verdicts.items():
        if course.rolled_back and verdict.back is not None:
            actions[name] = let_through(verdict.back, rollout, everyone, gateways[name], doors)
            continue
        if verdict.standing is DeviceStanding.SETTLED:  # most devices, most of the time: nothing to hold
            actions[name] = verdict.action
            continue
        if is_fallback(verdict):
            holding = everyone
        else:
            holding = held.get(name) or course.withheld.get(name)
            if holding is None and verdict.rests:
                holding = HoldCause(HoldReason.FLAPPING, verdict.rests)
        actions[name] = apply_holds(verdict, rollout, holding, gateways[name], doors)
    return Release(actions, earliest(doors.until, course.progress.until))


def earliest(*moments: datetime | None) -> datetime | None:
    """Choose the first of several moments; None is never."""
    return min((moment for moment in moments if moment is not None), default=None)
