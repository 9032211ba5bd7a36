# SPDX-License-Identifier: Apache-2.0
"""What is true of one device: its conditions, from its action and its last report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, ActivatePrebaked, Blocked, BlockedReason, Configure, DeviceId, Digest, Hold, Install, NoChange, ObservedDevice, Parameters, Phase
from reconciler.report.conditions import Condition, Conditions, Status, carried, ready

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
class DeviceStatus:
    """One device as its status file tells it. No clock readings of reports: they would change all the time."""

    device: DeviceId
    running: Digest | None
    model: str | None  # name@version, where the digest is known
    phase: Phase | None
    sequence: int
    conditions: Conditions
    parameters: Parameters | None = None  # in force; None: the digest, and so what is built into the pack, is not known

    @property
    def ready(self) -> Condition:
        """Return the summary condition."""
        return self.conditions[0]


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a device is not what it was, or not what it says."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PassStamp:
    """What every condition of one pass shares."""

    now: datetime
    commit: str


def device_status(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    action: Action,
    observed: ObservedDevice | None,
    model: str | None,
    moment: PassStamp,
    previous: DeviceStatus | None,
    doubt: Distrust | None = None,
) -> DeviceStatus:
    """Turn an action, with its reason, into conditions."""
    parts = (
        _known(action, moment),
        _trusted(action, doubt, moment),
        _reporting(action, observed, moment),
        _fits(action, moment),
        _up_to_date(action, moment),
    )
    before = previous.conditions if previous is not None else ()
    kept = carried(parts, before)
    summary = carried((ready(kept, PRIORITY, when_true="The device is where Git wants it."),), before)
    return DeviceStatus(
        device=action.device,
        running=observed.running if observed else None,
        model=model,
        phase=observed.phase if observed else None,
        sequence=observed.sequence if observed else 0,
        conditions=(*summary, *kept),
        parameters=dict(sorted(observed.parameters.items())) if observed and model is not None else None,
    )


def _condition(kind: str, status: Status, reason: str, message: str, moment: PassStamp) -> Condition:
    return Condition(kind, status, reason, message, moment.now, moment.commit)


def _known(action: Action, moment: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason is BlockedReason.UNKNOWN:
        return _condition("Known", Status.FALSE, action.reason.value, action.why, moment)
    return _condition("Known", Status.TRUE, "InGit", "The fleet repository has this device.", moment)


def _trusted(action: Action, doubt: Distrust | None, moment: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason is BlockedReason.CLONED:
        return _condition("Trusted", Status.FALSE, action.reason.value, action.why, moment)
    if doubt is not None:
        return _condition("Trusted", Status.FALSE, doubt.reason, doubt.message, moment)
    return _condition("Trusted", Status.TRUE, "Trusted", "Nothing speaks against what it says.", moment)


def _reporting(action: Action, observed: ObservedDevice | None, moment: PassStamp) -> Condition:
    if observed is None:
        return _condition("Reporting", Status.UNKNOWN, "NeverSeen", "The device has not reported yet.", moment)
    if isinstance(action, Blocked) and BlockedReason.SILENT in {action.reason, *action.also}:
        return _condition("Reporting", Status.FALSE, BlockedReason.SILENT.value, action.why, moment)
    return _condition("Reporting", Status.TRUE, "Reporting", "The device reports, and its signature holds.", moment)


def _fits(action: Action, moment: PassStamp) -> Condition:
    if isinstance(action, Blocked) and action.reason in _UNFIT:
        return _condition("Fits", Status.FALSE, action.reason.value, action.why, moment)
    return _condition("Fits", Status.TRUE, "Fits", "The device can hold and run what is wanted.", moment)


def _up_to_date(action: Action, moment: PassStamp) -> Condition:
    match action:
        case NoChange():
            return _condition("UpToDate", Status.TRUE, "UpToDate", action.why, moment)
        case Install() | ActivatePrebaked() | Configure():
            return _condition("UpToDate", Status.FALSE, "Updating", action.why, moment)
        case Hold():
            return _condition("UpToDate", Status.FALSE, f"Held{action.reason.value}", action.why, moment)
        case Blocked():
            return _condition("UpToDate", Status.FALSE, action.reason.value, action.why, moment)
