# SPDX-License-Identifier: Apache-2.0
"""The evaluation of one rollout as a whole: its waves, its progress, and the devices that must not begin yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import Desired, Device, DeviceId, Observed, OnFailure, Rollout, RolloutId
from reconciler.plan.device.peers import stopped_by_peer
from reconciler.plan.device.verdict import DeviceVerdict, OutDevice
from reconciler.plan.revision import revision_of
from reconciler.plan.rollout.disruption import NO_HOLDS, disruption_holds
from reconciler.plan.rollout.holds import HoldCause
from reconciler.plan.rollout.progress import RolloutProgress, measure_progress
from reconciler.plan.rollout.waves import WaveStep, assign_waves


@dataclass(frozen=True, slots=True)
class RolloutHistory:
    """The permanent facts about one revision of a rollout: it was stopped, here or at a peer, or was complete once."""

    revision: str = ""
    stopped: str = ""
    completed: bool = False


def history_of(desired: Desired, observed: Observed, rollout: RolloutId) -> RolloutHistory:
    """Find what is remembered of the current revision of a rollout; memories of other revisions do not count."""
    revision = revision_of(desired, rollout)
    memory = observed.rollouts.get(rollout)
    current = memory if memory is not None and memory.revision == revision else None
    stopped = current.stopped if current is not None else ""
    completed = current is not None and current.completed_at is not None
    return RolloutHistory(revision, stopped or stopped_by_peer(observed.peers, rollout, revision), completed)


@dataclass(frozen=True, slots=True)
class RolloutEvaluation:
    """The progress of a rollout."""

    steps: tuple[WaveStep, ...]
    progress: RolloutProgress
    complete: bool
    revision: str = ""
    rolled_back: bool = False
    disruption_holds: Mapping[DeviceId, HoldCause] = field(default_factory=dict)  # of devices in open waves


def evaluate_rollout(
    rollout: Rollout,
    order: Sequence[Device],
    verdicts: Mapping[DeviceId, DeviceVerdict],
    history: RolloutHistory,
    now: datetime,
) -> RolloutEvaluation:
    """Evaluate a rollout. `order` holds all its devices, sorted by `stable_order`.

    Devices that can never have the model are in no wave. A rollout whose devices can all never have it proves
    nothing, and is not complete.
    """
    able = [device for device in order if not isinstance(verdicts[device.name], OutDevice)]
    steps = assign_waves(rollout, able)
    progress = measure_progress(rollout, steps, verdicts, now, history.stopped)
    # A rollout that was complete once is not rolled back when a device that was added later fails.
    rolled_back = bool(progress.stopped) and rollout.on_failure is OnFailure.ROLL_BACK and not history.completed
    return RolloutEvaluation(
        steps,
        progress,
        complete=progress.complete and bool(able) and not progress.stopped,
        revision=history.revision,
        rolled_back=rolled_back,
        disruption_holds=disruption_holds(rollout, order, verdicts, progress) if able else NO_HOLDS,
    )
