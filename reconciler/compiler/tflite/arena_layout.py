# SPDX-License-Identifier: Apache-2.0
"""Lays out the arena: from the lifetimes of buffers to their offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class BufferLifetime:
    """The size of a buffer, and the first and last operator during which it must be whole."""

    size: int
    first: int
    last: int

    def overlaps(self, other: BufferLifetime) -> bool:
        """Return whether both are alive at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class ArenaLayout:
    """The offsets in the order of the buffers, and the size of the arena."""

    offsets: tuple[int, ...]
    size: int


def lay_out_arena(lifetimes: Sequence[BufferLifetime]) -> ArenaLayout:
    """Place buffers one by one, each at the lowest offset that is free during its lifetime.

    Several orders are tried, such as the largest first, and the smallest layout wins. Trying them is cheap,
    and each order is the best one for some network.
    """
    indices = range(len(lifetimes))
    orders = (
        sorted(indices, key=lambda i: (-lifetimes[i].size, lifetimes[i].first, i)),
        sorted(indices, key=lambda i: (-lifetimes[i].size, -lifetimes[i].last, i)),
        sorted(indices, key=lambda i: (lifetimes[i].first, -lifetimes[i].size, i)),
        sorted(
            indices,
            key=lambda i: (-(lifetimes[i].last - lifetimes[i].first) * lifetimes[i].size, lifetimes[i].first, i),
        ),
    )
    return min((_place(lifetimes, order) for order in orders), key=lambda layout: layout.size)


def lower_bound(lifetimes: Sequence[BufferLifetime]) -> int:
    """Return the largest number of bytes alive at the same time; no layout needs less."""
    starts = {lifetime.first for lifetime in lifetimes}
    return max((sum(_aligned(x.size) for x in lifetimes if x.first <= at <= x.last) for at in starts), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place(lifetimes: Sequence[BufferLifetime], order: Sequence[int]) -> ArenaLayout:
    offsets: dict[int, int] = {}
    for index in order:
        lifetime = lifetimes[index]
        taken = sorted(
            (offsets[other], offsets[other] + _aligned(lifetimes[other].size))
            for other in offsets
            if lifetime.overlaps(lifetimes[other])
        )
        at = 0
        for start, end in taken:
            if at + _aligned(lifetime.size) <= start:
                break
            at = max(at, end)
        offsets[index] = at
    size = max((offsets[i] + _aligned(lifetimes[i].size) for i in offsets), default=0)
    return ArenaLayout(tuple(offsets[i] for i in range(len(lifetimes))), size)
