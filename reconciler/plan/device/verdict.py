# SPDX-License-Identifier: Apache-2.0
"""The result of the evaluation of one device: one class for each state that a device can have in its rollout.

Every verdict holds the action that the plan takes if no hold applies. What else it holds depends on the class,
so code that handles verdicts matches on the class, and the type checker reports a class that it forgets.

Two verdicts are equal when they say the same about the device. `until`, the time up to which a verdict is valid,
is left out: a rollout is not evaluated again merely because a verdict stays valid longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import Action
from reconciler.plan.device.rollback_action import RollbackAction


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The fields of every verdict."""

    action: Action  # what the plan does if no hold applies
    until: datetime | None = field(default=None, compare=False, kw_only=True)  # from then on, time alone may change it
    peer: str = field(default="", kw_only=True)  # describes the gateway that reported it, if that is a peer


@dataclass(frozen=True, slots=True)
class SettledDevice(_Verdict):
    """The device runs what its rollout wants, confirmed. It may still have to soak or to pass gates."""

    since: datetime | None = field(default=None, kw_only=True)  # when it was confirmed; None: unknown
    silent_since: datetime | None = field(default=None, kw_only=True)  # its last report, if it no longer reports
    pending_gate: str = field(default="", kw_only=True)  # which gate cannot be evaluated yet, and why
    rollback: RollbackAction | None = field(default=None, kw_only=True)
    proven: bool = field(default=False, kw_only=True)  # its gateway reports that it has soaked and passed all gates

    @property
    def away(self) -> bool:
        """Whether the device cannot do its work now."""
        return self.silent_since is not None


@dataclass(frozen=True, slots=True)
class DueDevice(_Verdict):
    """The device does not run what its rollout wants yet."""

    begun: bool = field(default=False, kw_only=True)  # the pack is being transferred or on trial: it may fail
    away: bool = field(default=False, kw_only=True)
    paused: str = field(default="", kw_only=True)  # why nothing is begun on it for now
    rollback: RollbackAction | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class FailedDevice(_Verdict):
    """The device tried the model and failed, failed a gate, or fell silent after it had begun."""

    away: bool = field(default=False, kw_only=True)
    failed_gate: str = field(default="", kw_only=True)  # which gate it failed, and how
    rollback: RollbackAction | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class MissingDevice(_Verdict):
    """The device does not report and had not begun, so nothing can be asked of it."""

    @property
    def away(self) -> bool:
        """Whether the device cannot do its work now."""
        return True


@dataclass(frozen=True, slots=True)
class OutDevice(_Verdict):
    """The device can never have the model, so it is in no wave."""

    away: bool = field(default=False, kw_only=True)


DeviceVerdict = SettledDevice | DueDevice | FailedDevice | MissingDevice | OutDevice


def rollback_of(verdict: DeviceVerdict) -> RollbackAction | None:
    """Return the action that takes the device back to what it ran before, if there is one."""
    match verdict:
        case SettledDevice() | DueDevice() | FailedDevice():
            return verdict.rollback
        case MissingDevice() | OutDevice():
            return None
