# SPDX-License-Identifier: Apache-2.0
"""What a chip has around its processor: registers, interrupts, a serial line, flash, and time.

Time is virtual. It passes when the firmware reads its timer, looks for a reason to sleep, waits for flash, or sleeps.
A run depends on nothing but its inputs, and figures about time say nothing about the speed of a real chip.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firmware.chips.flash_array import FlashArray

PASS_US: Final = 50  # between two reads of the timer, or two looks for a reason to sleep

START_US: Final = 10_000  # from a reset to the first instruction


class Cause(enum.Enum):
    """Why the chip starts."""

    POWER_ON = "power on"
    SOFTWARE = "software"
    WATCHDOG = "watchdog"


@dataclass(frozen=True)
class Layout:
    """Where the processor finds memory, and registers."""

    flash: int
    ram: int
    ram_bytes: int
    registers: tuple[tuple[int, int], ...]  # address, length


class Chip(ABC):
    """The registers of a chip. The processor calls it; it never calls the processor."""

    layout: Layout
    polled: frozenset[int]  # registers that firmware polls, and that may be read twice

    def __init__(self, flash: FlashArray) -> None:
        self.flash = flash
        self.now_us = 0
        self.received = bytearray()  # bytes on their way to the chip; its UART holds the sender while it can't take one
        self.sent = bytearray()
        self.violations: list[str] = []
        self.watchdog_at_us: int | None = None
        self.readers: dict[int, Callable[[], int]] = {}  # registers that do something when they are read
        self.writers: dict[int, Callable[[int], None]] = {}
        self.plain: dict[int, int] = {}  # registers that only keep what is written

    @abstractmethod
    def reset(self, cause: Cause) -> None:
        """Give all registers their values after a reset."""

    def load(self, address: int) -> int:
        """Read a register."""
        if (read := self.readers.get(address)) is not None:
            return read()
        if address not in self.plain:
            self.break_rule(f"read of register {address:#x}, which is not in the model")
        return self.plain.get(address, 0)

    def store(self, address: int, value: int) -> None:
        """Write a register."""
        if (write := self.writers.get(address)) is not None:
            write(value)
        elif address in self.plain:
            self.plain[address] = value
        else:
            self.break_rule(f"write to register {address:#x}, which is not in the model")

    @abstractmethod
    def store_flash(self, offset: int, size: int, value: int) -> None:
        """Take a store of the processor to flash. What flash then holds counts, not the value."""

    @abstractmethod
    def interrupts(self) -> int:
        """Return the interrupts that are raised, as bits."""

    @abstractmethod
    def alarm_us(self) -> int | None:
        """Return when the timer raises its next interrupt."""

    def unreadable(self, offset: int) -> bool:
        """Note a read of a unit that flash refuses to read. True: a non-maskable interrupt follows."""
        self.violations.append(f"read of unreadable flash at {offset:#x}")
        return False

    def next_event_us(self) -> int:
        """Return until when nothing happens unless a byte arrives; at most a second from now."""
        events = (self.alarm_us(), self.watchdog_at_us, self.now_us + 1_000_000)
        return min(at for at in events if at is not None and at > self.now_us)

    def watchdog_fired(self) -> bool:
        """Whether the watchdog resets the chip now."""
        return self.watchdog_at_us is not None and self.now_us >= self.watchdog_at_us

    def break_rule(self, what: str) -> None:
        """Note that the firmware did what the manual forbids."""
        self.violations.append(what)
