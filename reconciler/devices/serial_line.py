# SPDX-License-Identifier: Apache-2.0
"""The port between the serial link and a line: bytes out, bytes in, and the speed of both."""

from __future__ import annotations

from typing import Protocol

BITS_PER_BYTE = 10  # a start bit, eight data bits, a stop bit


class LinePort(Protocol):
    """A half-duplex line that many devices share. One task uses it at a time."""

    @property
    def baud(self) -> int:
        """Bits per second, start and stop bits counted."""

    @property
    def latency_s(self) -> float:
        """How long bytes may be held up between the wire and here, by an adapter or a network."""

    async def open(self) -> None:
        """Make the line ready, or raise `LineDown`."""

    async def send(self, data: bytes) -> None:
        """Hand over all of `data`; what is on its way may still need its time on the wire."""

    async def receive(self, within_s: float) -> bytes:
        """Return what has come; nothing at all when nothing came in time."""

    def close(self) -> None:
        """Let go of the line; it may be opened again."""


def airtime_s(count: int, baud: int) -> float:
    """How long `count` bytes occupy the wire."""
    return count * BITS_PER_BYTE / baud
