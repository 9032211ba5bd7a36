# SPDX-License-Identifier: Apache-2.0
"""What each part of a network between two cuts needs on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """The operators `first` to `end` - 1 of a network, as a stage on one type of device."""

    first: int
    end: int
    pack_bytes: int
    arena_bytes: int
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    operators: frozenset[str]
    instructions: int

    def fits(self, slot_bytes: int, arena_bytes: int) -> bool:
        """Return whether a device of this size can hold it."""
        return self.pack_bytes <= slot_bytes and self.arena_bytes <= arena_bytes

    @property
    def bytes_moved(self) -> int:
        """The bytes of all inputs and outputs."""
        return sum(self.input_bytes) + sum(self.output_bytes)


@dataclass(frozen=True, slots=True)
class Boundary:
    """The place behind an operator: its name for people, and the bytes of all tensors that cross it."""

    behind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A network of `operators` operators, the boundaries between them, and the segments that fit one type of device."""

    operators: int
    boundaries: tuple[Boundary, ...]
    segments: Mapping[tuple[int, int], Segment]
