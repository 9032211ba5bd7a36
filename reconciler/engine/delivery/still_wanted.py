# SPDX-License-Identifier: Apache-2.0
"""What a delivery is for, and whether the plan still wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    Configure,
    Desired,
    Hold,
    HoldReason,
    Install,
    ModelRef,
    NoChange,
    Parameters,
    RolloutId,
)

UpdateAction = Install | ActivatePrebaked | Configure  # the actions that send something to a device


@dataclass(frozen=True, slots=True)
class Purpose:
    """The purpose of a delivery, which continues as long as the plan wants exactly this."""

    rollout: RolloutId
    model: ModelRef | None  # None: the parameters alone
    parameters: Parameters

    def __str__(self) -> str:
        return str(self.model) if self.model is not None else f"parameters of {self.rollout}"


def purpose_of(action: UpdateAction) -> Purpose:
    """Return what a delivery for this action is for."""
    return Purpose(action.rollout, None if isinstance(action, Configure) else action.model, action.parameters)


def still_wanted(purpose: Purpose, action: Action, desired: Desired) -> bool:
    """Return whether a delivery is still wanted, given its device's action in a later plan."""
    match action:
        case Install() | ActivatePrebaked():
            return purpose_of(action) == purpose
        case Configure() if purpose_of(action) == purpose:
            return True
        case Blocked(reason=reason):
            return reason is BlockedReason.SILENT  # the delivery itself knows best when to give up
        case Hold(reason=reason) if reason is not HoldReason.IN_PROGRESS:
            return False
        case Hold() | NoChange() | Configure():
            return _leads_to(purpose, desired)  # the device has received it all, and the delivery waits for the end
        case unexpected:
            assert_never(unexpected)


def _leads_to(purpose: Purpose, desired: Desired) -> bool:
    """Return whether a delivery brings what Git wants now; Git may have gone back since it started."""
    rollout = desired.rollouts[purpose.rollout]
    parameters = {**desired.models[rollout.model].parameters, **rollout.parameters}
    return purpose.model in {None, rollout.model} and purpose.parameters == parameters
