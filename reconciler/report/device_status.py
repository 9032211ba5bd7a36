# SPDX-License-Identifier: Apache-2.0
"""The status of one device: its conditions, computed from its action and its last report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    BuildFailure,
    Configure,
    DeviceId,
    Hold,
    Install,
    NoChange,
    ObservedDevice,
    Parameters,
    Phase,
    ReportedDigest,
)
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.learning import LEARNING, LearningFacts, learning_state

PRIORITY = ("Known", "Trusted", "Reporting", "Fits", "UpToDate")
_UNFIT = frozenset(
    {
        BlockedReason.OPERATORS,
        BlockedReason.SLOT,
        BlockedReason.ARENA,
        BlockedReason.PACK_FORMAT,
        BlockedReason.NO_UPDATES,
        BlockedReason.WRONG_TYPE,
    }
)


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why the reports of a device are not accepted at face value."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The results of a pass for one device."""

    action: Action
    seen: ObservedDevice | None = None  # None: it has never reported
    model: str | None = None  # name@version of what it runs, if its digest is known
    distrust: Distrust | None = None
    build_failure: BuildFailure | None = None  # why the artifact that it waits for can't be built
    learning: LearningFacts | None = None  # None: the model that it runs does not learn
    cohort: str | None = None  # the value of the label that the fleet declares


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device as its status file shows it. It has no time of the last report, which would change all the time."""

    device: DeviceId
    running: ReportedDigest | None
    model: str | None  # name@version, if the digest is known
    phase: Phase | None
    sequence: int
    conditions: Conditions
    parameters: Parameters | None = None  # in force; None: unknown, because the digest and so its defaults are
    cohort: str | None = None  # None: the fleet declares no label of cohorts, or the device lacks it

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


@dataclass(frozen=True, slots=True)
class PassStamp:
    """The time and the commit of a pass, which all its conditions share."""

    now: datetime
    commit: str


def device_status(facts: DeviceFacts, stamp: PassStamp, previous: DeviceStatus | None) -> DeviceStatus:
    """Build the status of a device from its action and its last report."""
    return device_status_since(facts, stamp, previous.conditions if previous is not None else ())


def device_status_since(facts: DeviceFacts, stamp: PassStamp, before: Conditions) -> DeviceStatus:
    """Build the status of a device; the conditions before say since when each of the new ones holds."""
    action, seen, model = facts.action, facts.seen, facts.model
    parts = (
        _known(action, stamp),
        _trusted(action, facts.distrust, stamp),
        _reporting(action, seen, stamp),
        _fits(action, stamp),
        _up_to_date(action, facts.build_failure, stamp),
        *_learning(facts.learning, stamp),
    )
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="The device is in its desired state."),), before)
    return DeviceStatus(
        device=action.device,
        running=seen.running if seen else None,
        model=model,
        phase=seen.phase if seen else None,
        sequence=seen.sequence if seen else 0,
        conditions=(*summary, *kept),
        parameters=dict(sorted(seen.parameters.items())) if seen and model is not None else None,
        cohort=facts.cohort,
    )


def _condition(kind: str, status: Status, reason: str, message: str, stamp: PassStamp) -> Condition:
    return Condition(kind, status, reason, message, stamp.now, stamp.commit)


def _known(action: Action, stamp: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason is BlockedReason.UNKNOWN:
        return _condition("Known", Status.FALSE, action.reason.value, action.why, stamp)
    return _condition("Known", Status.TRUE, "InGit", "The device is in the fleet repository.", stamp)


def _trusted(action: Action, distrust: Distrust | None, stamp: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason is BlockedReason.CLONED:
        return _condition("Trusted", Status.FALSE, action.reason.value, action.why, stamp)
    if distrust is not None:
        return _condition("Trusted", Status.FALSE, distrust.reason, distrust.message, stamp)
    return _condition("Trusted", Status.TRUE, "Trusted", "Nothing casts doubt on its reports.", stamp)


def _reporting(action: Action, seen: ObservedDevice | None, stamp: PassStamp) -> Condition:
    if seen is None:
        return _condition("Reporting", Status.UNKNOWN, "NeverSeen", "The device has not reported yet.", stamp)
    if isinstance(action, Blocked) and BlockedReason.SILENT in {action.reason, *action.also}:
        return _condition("Reporting", Status.FALSE, BlockedReason.SILENT.value, action.why, stamp)
    return _condition("Reporting", Status.TRUE, "Reporting", "The device reports, and its signatures are valid.", stamp)


def _fits(action: Action, stamp: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason in _UNFIT:
        return _condition("Fits", Status.FALSE, action.reason.value, action.why, stamp)
    return _condition("Fits", Status.TRUE, "Fits", "The device can hold and run the model that Git wants.", stamp)


def _learning(facts: LearningFacts | None, stamp: PassStamp) -> tuple[Condition, ...]:
    return (_condition(LEARNING, *learning_state(facts), stamp),) if facts is not None else ()


def _up_to_date(action: Action, failure: BuildFailure | None, stamp: PassStamp) -> Condition:
    if failure is not None:
        return _condition("UpToDate", Status.FALSE, failure.reason, failure.text, stamp)
    match action:
        case NoChange():
            return _condition("UpToDate", Status.TRUE, "UpToDate", action.why, stamp)
        case Install() | ActivatePrebaked() | Configure():
            return _condition("UpToDate", Status.FALSE, "Updating", action.why, stamp)
        case Hold():
            return _condition("UpToDate", Status.FALSE, f"Held{action.reason.value}", action.why, stamp)
        case Blocked():
            return _condition("UpToDate", Status.FALSE, action.reason.value, action.why, stamp)
