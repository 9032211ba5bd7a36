# SPDX-License-Identifier: Apache-2.0
"""The interface between the serial link and a line: bytes out, bytes in, and the line speed."""

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
        """The delay between the wire and this process, caused by an adapter or a network."""

    async def open(self) -> None:
        """Open the line, or raise `LineDown`."""

    async def send(self, data: bytes) -> None:
        """Hand over all of `data`, which may still need its time on the wire."""

    async def receive(self, within_s: float) -> bytes:
        """Return received bytes; empty if nothing arrives in time."""

    def close(self) -> None:
        """Close the line. It can be opened again."""


def airtime_s(count: int, baud: int) -> float:
    """Return how long `count` bytes occupy the wire."""
    return count * BITS_PER_BYTE / baud
