# SPDX-License-Identifier: Apache-2.0
"""Flash cells: what they hold, which units are programmed, and what a power cut leaves of the operation that it tears.

A chip decides which of its stores are operations, and checks its own rules. The cells count the operations, so that a
power cut can be set at any of them.
"""

from __future__ import annotations

import ctypes
import enum
import random
from dataclasses import dataclass, field
from typing import Final

ERASED: Final = 0xFF


class Torn(enum.Enum):
    """What is left of a unit whose programming or erase was cut."""

    UNTOUCHED = "as before"
    COMPLETE = "as after the operation"
    WEAK = "reads as erased, refuses to be programmed"
    UNREADABLE = "refuses to be read"
    MIXED = "each bit is the old or the new one"


@dataclass(frozen=True)
class Cells:
    """The shape of a flash: its size, units of programming and of erasing, and what a cut may leave."""

    size_bytes: int
    write_bytes: int
    page_bytes: int
    torn: tuple[Torn, ...]


@dataclass
class FlashArray:
    """The cells of a chip. ``memory`` is shared with the emulated processor, which reads it in place."""

    shape: Cells
    chance: random.Random
    operations: int = 0
    cut_at: int | None = None  # the number of the operation that is torn
    power_lost: bool = False
    unreadable: set[int] = field(default_factory=set)  # first bytes of units
    weak: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.memory = (ctypes.c_ubyte * self.shape.size_bytes)()
        ctypes.memset(self.memory, ERASED, self.shape.size_bytes)
        self._programmed = bytearray(self.shape.size_bytes // self.shape.write_bytes)

    def load(self, offset: int, contents: bytes) -> None:
        """Put contents there as a programmer does, without an operation. Units that hold only FF count as erased."""
        if not 0 <= offset <= self.shape.size_bytes - len(contents):
            raise ValueError(f"{len(contents)} bytes at {offset:#x} exceed the flash of {self.shape.size_bytes} bytes")
        ctypes.memmove(ctypes.byref(self.memory, offset), contents, len(contents))
        unit = self.shape.write_bytes
        blank = bytes([ERASED]) * unit
        for at in range(offset - offset % unit, offset + len(contents), unit):
            self._programmed[at // unit] = self.read(at, unit) != blank

    def restore(self, saved: FlashArray) -> None:
        """Take over the cells of another flash of this shape."""
        ctypes.memmove(self.memory, saved.memory, self.shape.size_bytes)
        self._programmed[:] = saved._programmed
        self.unreadable, self.weak = set(saved.unreadable), set(saved.weak)

    def read(self, offset: int, length: int) -> bytes:
        """Return what the cells hold, also where reading is refused."""
        return ctypes.string_at(ctypes.byref(self.memory, offset), length)

    def is_blank(self, offset: int) -> bool:
        """Whether a unit can be programmed."""
        return not self._programmed[offset // self.shape.write_bytes] and offset not in self.weak

    def program(self, offset: int, contents: bytes) -> None:
        """Program one unit, or tear it when the power is to be cut here."""
        if self.power_lost:
            return
        if self._is_cut():
            self._tear(offset, contents)
            return
        self._set(offset, contents, programmed=True)

    def erase(self, offset: int) -> None:
        """Erase one page, or tear it when the power is to be cut here."""
        if self.power_lost:
            return
        blank = bytes([ERASED]) * self.shape.write_bytes
        torn = self._is_cut()
        for at in range(offset, offset + self.shape.page_bytes, self.shape.write_bytes):
            if torn:
                self._tear(at, blank)
            else:
                self._set(at, blank, programmed=False)

    def _is_cut(self) -> bool:
        self.operations += 1
        self.power_lost = self.operations == self.cut_at
        return self.power_lost

    def _set(self, offset: int, contents: bytes, *, programmed: bool) -> None:
        ctypes.memmove(ctypes.byref(self.memory, offset), contents, len(contents))
        self._programmed[offset // self.shape.write_bytes] = programmed
        self.unreadable.discard(offset)
        self.weak.discard(offset)

    def _tear(self, offset: int, contents: bytes) -> None:
        unit = self.shape.write_bytes
        blank = bytes([ERASED]) * unit
        match self.chance.choice(self.shape.torn):
            case Torn.UNTOUCHED:
                pass
            case Torn.COMPLETE:
                self._set(offset, contents, programmed=contents != blank)
            case Torn.WEAK:
                self._set(offset, blank, programmed=False)
                self.weak.add(offset)
            case Torn.MIXED:
                self._set(offset, self._mix(offset, contents), programmed=True)
            case Torn.UNREADABLE:
                # what a load returns is as good as anything between old and new: the error code was torn as well
                held = (self.read(offset, unit), contents, self._mix(offset, contents))
                self._set(offset, self.chance.choice(held), programmed=True)
                self.unreadable.add(offset)

    def _mix(self, offset: int, contents: bytes) -> bytes:
        """Return a unit of which each bit is the old or the new one."""
        unit = self.shape.write_bytes
        old, new = (int.from_bytes(each, "little") for each in (self.read(offset, unit), contents))
        mask = self.chance.getrandbits(8 * unit)
        return (old & mask | new & ~mask).to_bytes(unit, "little")
