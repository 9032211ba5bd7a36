# SPDX-License-Identifier: Apache-2.0
"""What every emulated chip offers, whatever executes its instructions: a line, flash that can be cut off, and time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, Self


class PowerLostError(Exception):
    """The power cut that was set has happened. Only the flash is left."""


class Flash(Protocol):
    """Flash that counts its operations, so that the power can be cut at any of them."""

    operations: int
    cut_at: int | None  # the number of the operation that is torn
    power_lost: bool

    def load(self, offset: int, contents: bytes, /) -> None:
        """Put contents there as a programmer does, without an operation."""

    def restore(self, saved: Self, /) -> None:
        """Take over the cells of another flash of this shape."""


class Surroundings(Protocol):
    """What a chip has around its processor, as seen from outside."""

    received: bytearray  # bytes on their way to the chip
    sent: bytearray
    violations: list[str]

    @property
    def flash(self) -> Flash:
        """Its flash."""

    @property
    def now_us(self) -> int:
        """Its time, which is virtual."""

    def next_event_us(self) -> int:
        """Return until when nothing happens unless a byte arrives; at most a second from now."""


class Processor(ABC):
    """The processor of a chip that is switched on."""

    @property
    @abstractmethod
    def chip(self) -> Surroundings:
        """The rest of the chip."""

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing happens before the chip's next event, or a byte on its line."""

    @abstractmethod
    def step(self) -> None:
        """Run a while; do nothing while it sleeps. Raises `PowerLostError` at the cut that was set."""

    @abstractmethod
    def sleep(self, until_us: int) -> None:
        """Let time pass while it sleeps, at most to its next event."""

    @abstractmethod
    def power_on(self) -> None:
        """Start after a loss of power: RAM holds anything."""

    @abstractmethod
    def memory(self, address: int, length: int) -> bytes:
        """Read its memory from outside."""
