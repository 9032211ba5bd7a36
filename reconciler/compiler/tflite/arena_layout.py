# SPDX-License-Identifier: Apache-2.0
"""Where each tensor lies in the arena: life spans in, offsets out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class BufferLifetime:
    """A buffer's size, and the first and last operator during which it must be whole."""

    size: int
    first: int
    last: int

    def meets(self, other: BufferLifetime) -> bool:
        """Tell whether both are alive at one time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class ArenaLayout:
    """The offsets, in the order of the buffers, and the bytes in all."""

    offsets: tuple[int, ...]
    size: int


def lay_out_arena(lifetimes: Sequence[BufferLifetime]) -> ArenaLayout:
    """Place the largest first, each at the lowest offset that no live neighbour covers.

    Several orders are tried and the smallest result is kept: they cost nothing, and each of them
    wins on some network.
    """
    everyone = range(len(lifetimes))
    orders = (
        sorted(everyone, key=lambda i: (-lifetimes[i].size, lifetimes[i].first, i)),
        sorted(everyone, key=lambda i: (-lifetimes[i].size, -lifetimes[i].last, i)),
        sorted(everyone, key=lambda i: (lifetimes[i].first, -lifetimes[i].size, i)),
        sorted(
            everyone,
            key=lambda i: (-(lifetimes[i].last - lifetimes[i].first) * lifetimes[i].size, lifetimes[i].first, i),
        ),
    )
    return min((_place(lifetimes, order) for order in orders), key=lambda layout: layout.size)


def lower_bound(lifetimes: Sequence[BufferLifetime]) -> int:
    """Bytes that are alive at the worst moment: no layout can do with less."""
    moments = {life.first for life in lifetimes}
    return max((sum(_aligned(x.size) for x in lifetimes if x.first <= at <= x.last) for at in moments), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place(lifetimes: Sequence[BufferLifetime], order: Sequence[int]) -> ArenaLayout:
    offsets: dict[int, int] = {}
    for index in order:
        life = lifetimes[index]
        taken = sorted(
            (offsets[other], offsets[other] + _aligned(lifetimes[other].size))
            for other in offsets
            if life.meets(lifetimes[other])
        )
        at = 0
        for start, end in taken:
            if at + _aligned(life.size) <= start:
                break
            at = max(at, end)
        offsets[index] = at
    size = max((offsets[i] + _aligned(lifetimes[i].size) for i in offsets), default=0)
    return ArenaLayout(tuple(offsets[i] for i in range(len(lifetimes))), size)
