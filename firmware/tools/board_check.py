# SPDX-License-Identifier: Apache-2.0
"""Check a board that runs board-check, over its UART, and print what to send as evidence (docs/boards.md).

The commands and answers are those at the head of firmware/ports/bare/check/board_check.c.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import serial

BAUD: Final = 115200
_ANSWER_S: Final = 10.0
BURST: Final = b"0123456789" * 500


class Line(Protocol):
    """An open serial port, or anything that reads and writes like one."""

    def write(self, data: bytes, /) -> object:
        """Send bytes."""

    def read(self, count: int, /) -> bytes:
        """Return this many bytes, or fewer if they do not come in time."""


@dataclass(frozen=True)
class Step:
    """What is sent, what must come back, and what that shows."""

    send: bytes
    expect: bytes
    shows: str


@dataclass(frozen=True)
class Result:
    """What came back."""

    step: Step
    heard: bytes

    @property
    def good(self) -> bool:
        """Whether it is what must come back."""
        return self.heard == self.step.expect


STEPS: Final = (
    Step(b"r", b"!", "starts, and a restart is not a fault"),
    Step(b"epc", b"+++", "flash is erased, programmed and read"),
    Step(b"ec", b"+-", "an erase removes what was programmed"),
    Step(b"ox", b"--", "refuses odd lengths, and places outside of its regions"),
    Step(BURST, BURST, "loses no byte of a burst"),
    Step(b"s", b"F", "the watchdog resets it, and it knows"),
    Step(b"r", b"!", "the note of the watchdog is taken once"),
    Step(b"f", b"F", "a fault resets it, and it knows"),
    Step(b"r", b"!", "the note of the fault is taken once"),
)


def check(line: Line, steps: Iterable[Step] = STEPS) -> Iterator[Result]:
    """Play the steps in their order."""
    for step in steps:
        line.write(step.send)
        yield Result(step, line.read(len(step.expect)))


def form(port: str, results: Iterable[Result], ended: Callable[[Result], None] = lambda _: None) -> str:
    """Return the form to send."""
    rows = []
    for result in results:
        ended(result)
        heard = "as expected" if result.good else repr(result.heard[:20])
        rows.append(f"| {result.step.shows} | {'yes' if result.good else 'NO'} | {heard} |")
    return "\n".join(
        [
            f"Port: {port}",
            "Board and its revision: …",
            "Chip, as printed on it: …",
            "Version of tinyfleet (`git describe --always`): …",
            "Programmer, and how the UART is connected (with RTS?): …",
            "",
            "| the board | | heard |",
            "|---|---|---|",
            *rows,
        ]
    )


def main() -> int:
    """Check the board on a serial port."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", help="the port of tinyfleet, such as nrf51-microbit")
    parser.add_argument("line", help="the serial port, such as /dev/ttyACM0, or a URL of pyserial")
    given = parser.parse_args()
    played: list[Result] = []
    with serial.serial_for_url(given.line, baudrate=BAUD, timeout=_ANSWER_S) as line:
        line.reset_input_buffer()
        sys.stdout.write(form(given.port, check(line), played.append) + "\n")
    return 0 if all(result.good for result in played) else 1


if __name__ == "__main__":
    sys.exit(main())
