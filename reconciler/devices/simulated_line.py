# SPDX-License-Identifier: Apache-2.0
"""A half-duplex line in simulated time, with the same interface as a real one.

`run_simulated` runs a coroutine on an event loop whose clock jumps to the next timer, so that an hour on a 2400-baud
line takes a second and every figure is exact and repeatable. Each byte takes ten bit times, each change of direction a
turn-around time. Bits flip with a seeded probability, and simultaneous transmissions garble each other.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from reconciler.devices.line_port import BITS_PER_BYTE, airtime_s

T = TypeVar("T")
CHUNK_BYTES = 8  # bytes arrive in chunks of this size, each at its own time
NO_NOISE = 1e-12  # a bit error rate below this is none
GATEWAY = -1  # the sender that is not one of the stations


class Station(Protocol):
    """One device on the line."""

    def hear(self, data: bytes, now_s: float) -> bytes:
        """Process the bytes that were on the wire until `now_s`; return the device's answer."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits; it advances the clock by the requested time instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("simulated time stands still: every task waits and no timer is set")
            self.now_s += max(timeout, 0.0)
        return events


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run_simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in simulated time, which starts at zero."""
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        return runner.run(main)


class SimulatedLine:
    """A `LinePort` with stations on it.

    An error flips a data bit. With `framing_errors`, errors also hit start and stop bits, and then the receiver loses
    the byte.
    """

    def __init__(  # noqa: PLR0913  # the physics of a line has this many parameters
        self,
        stations: Iterable[Station] = (),
        *,
        baud: int = 2400,
        turnaround_s: float = 0.005,
        bit_error_rate: float = 0.0,
        framing_errors: bool = False,
        seed: int = 0,
    ) -> None:
        self.stations = list(stations)
        self.sent_bytes = 0
        self.received_bytes = 0
        self._baud = baud
        self._turnaround_s = turnaround_s
        self._rate = bit_error_rate
        self._framing_errors = framing_errors
        self._random = random.Random(seed)  # noqa: S311  # noise, not a secret
        self._bits_to_error = self._gap()
        self._talking: dict[int, float] = {}  # sender: end of its transmission
        self._last_sender = GATEWAY
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def baud(self) -> int:
        """Bits per second, start and stop bits counted."""
        return self._baud

    @property
    def latency_s(self) -> float:
        """No delay in addition to the wire."""
        return 0.0

    async def open(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    async def send(self, data: bytes) -> None:
        """Put `data` on the wire, and return when the last bit has left."""
        loop = asyncio.get_running_loop()
        self.sent_bytes += len(data)
        at = self._start(GATEWAY, len(data))
        for offset in range(0, len(data), CHUNK_BYTES):
            chunk = data[offset : offset + CHUNK_BYTES]
            at += airtime_s(len(chunk), self._baud)
            await asyncio.sleep(at - loop.time())
            self._let_hear(GATEWAY, self._through_the_wire(GATEWAY, chunk))

    async def receive(self, within_s: float) -> bytes:
        """Return received bytes; empty if nothing arrives in time."""
        try:
            return await asyncio.wait_for(self._heard.get(), within_s)
        except TimeoutError:
            return b""

    def _start(self, sender: int, count: int) -> float:
        now = asyncio.get_running_loop().time()
        if sender != self._last_sender:
            now += self._turnaround_s
        self._last_sender = sender
        self._talking[sender] = now + airtime_s(count, self._baud)
        return now

    def _let_hear(self, sender: int, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        for number, station in enumerate(self.stations):
            if number != sender and (answer := station.hear(data, now)):
                self._answer(number, answer)

    def _answer(self, sender: int, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        at = self._start(sender, len(data))
        for offset in range(0, len(data), CHUNK_BYTES):
            chunk = data[offset : offset + CHUNK_BYTES]
            at += airtime_s(len(chunk), self._baud)
            loop.call_at(at, self._arrive, sender, chunk)

    def _arrive(self, sender: int, chunk: bytes) -> None:
        heard = self._through_the_wire(sender, chunk)
        self.received_bytes += len(heard)
        self._heard.put_nowait(heard)
        self._let_hear(sender, heard)

    def _through_the_wire(self, sender: int, chunk: bytes) -> bytes:
        began = asyncio.get_running_loop().time() - airtime_s(len(chunk), self._baud)
        if any(until > began for other, until in self._talking.items() if other != sender):
            return self._random.randbytes(len(chunk))  # a collision
        return self._with_bit_errors(chunk)

    def _with_bit_errors(self, chunk: bytes) -> bytes:
        per_byte = BITS_PER_BYTE if self._framing_errors else 8
        damaged = bytearray(chunk)
        lost: list[int] = []
        at = self._bits_to_error
        while at < len(chunk) * per_byte:
            index, bit = divmod(int(at), per_byte)
            if bit < 8:  # noqa: PLR2004  # data bits first; the order does not matter
                damaged[index] ^= 1 << bit
            else:
                lost.append(index)
            at += 1 + self._gap()
        self._bits_to_error = at - len(chunk) * per_byte
        return bytes(byte for index, byte in enumerate(damaged) if index not in lost)

    def _gap(self) -> float:
        """Return the number of bits before the next error."""
        if self._rate < NO_NOISE:
            return math.inf
        return math.floor(math.log(1 - self._random.random()) / math.log1p(-self._rate))
