# SPDX-License-Identifier: Apache-2.0
"""Whether a model fits a device, and what is missing where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import Blocked, BlockedReason, Capabilities, DeviceId, Updates
from reconciler.plan.device.goal import Goal


@dataclass(frozen=True, slots=True)
class MissingRequirement:
    """What a device lacks for its goal: the first reason of a fixed order, all of them in words."""

    reason: BlockedReason
    words: str
    short_by: int = 0
    also: tuple[BlockedReason, ...] = ()

    def cant(self, device: DeviceId, goal: Goal, what_now: str, *, silent: bool = False) -> Blocked:
        """Say it of one device, which may be silent besides."""
        also = (*self.also, BlockedReason.SILENT) if silent else self.also
        return Blocked(device, goal.rollout.name, self.reason, f"{self.words}{what_now}", self.short_by, also)


def wrong_type(goal: Goal, told: Capabilities | None) -> MissingRequirement | None:
    """Compare the type that Git names with the one that the firmware was made for: nothing built for one fits both."""
    if told is None or told.type == goal.type.name:
        return None
    return MissingRequirement(
        BlockedReason.WRONG_TYPE, f"Git says that its type is {goal.type.name}, the device says {told.type}"
    )


def missing_requirement(goal: Goal, told: Capabilities | None) -> MissingRequirement | None:
    """Compare what the goal needs with what the device tells of itself, else with its type.

    The order of reasons: no updates over the air, another pack format, operators, slot, arena.
    The last three are told together.
    """
    if goal.type.updates is Updates.NONE or (told is not None and not told.updates):
        words = f"takes no updates over the air, and {goal.model} is not pre-baked in it: it must be provisioned anew"
        return MissingRequirement(BlockedReason.NO_UPDATES, words)
    if told is not None and told.pack_format != goal.type.pack_format:
        words = f"reads pack format {told.pack_format}, packs for {goal.type.name} are format {goal.type.pack_format}"
        return MissingRequirement(BlockedReason.PACK_FORMAT, words)
    shortfalls = _shortfalls(goal, told)
    if not shortfalls:
        return None
    words = "; ".join(shortfall.words for shortfall in shortfalls)
    first, *others = shortfalls
    also = tuple(other.reason for other in others)
    return MissingRequirement(first.reason, f"{goal.model} does not fit: {words}", first.short_by, also)


def _shortfalls(goal: Goal, told: Capabilities | None) -> list[MissingRequirement]:
    """Name the operators, and count the bytes, that are missing."""
    has = goal.type if told is None else told
    found = []
    if missing := goal.needs.operators - has.operators:
        plural = "" if len(missing) == 1 else "s"
        found.append(
            MissingRequirement(BlockedReason.OPERATORS, f"it lacks operator{plural} {', '.join(sorted(missing))}")
        )
    for reason, what, need, have in (
        (BlockedReason.SLOT, "slot", goal.needs.slot_bytes, has.slot_bytes),
        (BlockedReason.ARENA, "arena", goal.needs.arena_bytes, has.arena_bytes),
    ):
        if need > have:
            words = f"the {what} is {need - have:,} bytes short ({need:,} needed, {have:,} there)"
            found.append(MissingRequirement(reason, words, need - have))
    return found
