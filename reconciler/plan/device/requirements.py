# SPDX-License-Identifier: Apache-2.0
"""Whether a model fits a device, and what the device lacks if it does not."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import Blocked, BlockedReason, Capabilities, DeviceId, Updates
from reconciler.plan.device.rollout_goal import Goal


@dataclass(frozen=True, slots=True)
class MissingRequirement:
    """The unmet requirements of a device: the first reason in a fixed order, and a message with all of them."""

    reason: BlockedReason
    message: str
    short_by: int = 0
    also: tuple[BlockedReason, ...] = ()

    def blocked(self, device: DeviceId, goal: Goal, suffix: str, *, silent: bool = False) -> Blocked:
        """Make the action of a device that lacks this, and that may not report either."""
        also = (*self.also, BlockedReason.SILENT) if silent else self.also
        return Blocked(device, goal.rollout.name, self.reason, f"{self.message}{suffix}", self.short_by, also)


def wrong_type(goal: Goal, reported: Capabilities | None) -> MissingRequirement | None:
    """Compare the type in Git with the one that the firmware was made for: no pack fits both."""
    if reported is None or reported.type == goal.type.name:
        return None
    message = f"its type is {goal.type.name} in Git, but the device reports {reported.type}"
    return MissingRequirement(BlockedReason.WRONG_TYPE, message)


def missing_requirement(goal: Goal, reported: Capabilities | None) -> MissingRequirement | None:
    """Compare what the goal needs with what the device reports, or with its type if it has reported nothing.

    The order of the reasons is: no updates over the air, an older pack format, operators, slot, arena.
    The last three are reported together.
    """
    if goal.type.updates is Updates.NONE or (reported is not None and not reported.updates):
        message = (
            f"takes no updates over the air and was not provisioned with {goal.model}: it must be provisioned again"
        )
        return MissingRequirement(BlockedReason.NO_UPDATES, message)
    if reported is not None and reported.pack_format < goal.type.pack_format:
        message = (
            f"reads pack formats up to {reported.pack_format}, but packs for {goal.type.name} "
            f"may have format {goal.type.pack_format}"
        )
        return MissingRequirement(BlockedReason.PACK_FORMAT, message)
    shortfalls = _shortfalls(goal, reported)
    if not shortfalls:
        return None
    message = "; ".join(shortfall.message for shortfall in shortfalls)
    first, *others = shortfalls
    also = tuple(other.reason for other in others)
    return MissingRequirement(first.reason, f"{goal.model} does not fit: {message}", first.short_by, also)


def _shortfalls(goal: Goal, reported: Capabilities | None) -> list[MissingRequirement]:
    """Return the missing operators and the numbers of missing bytes."""
    has = goal.type if reported is None else reported
    found = []
    if missing := goal.needs.operators - has.operators:
        plural = "" if len(missing) == 1 else "s"
        message = f"it lacks operator{plural} {', '.join(sorted(missing))}"
        found.append(MissingRequirement(BlockedReason.OPERATORS, message))
    for reason, what, need, have in (
        (BlockedReason.SLOT, "slot", goal.needs.slot_bytes, has.slot_bytes),
        (BlockedReason.ARENA, "arena", goal.needs.arena_bytes, has.arena_bytes),
    ):
        if need > have:
            message = f"the {what} is {need - have:,} bytes too small ({need:,} needed, {have:,} available)"
            found.append(MissingRequirement(reason, message, need - have))
    return found
