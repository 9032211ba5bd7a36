# SPDX-License-Identifier: Apache-2.0
"""An agent on the model of a chip in this process, as a gateway on its line sees it. Time is that of the chip."""

from __future__ import annotations

from typing import Final

from firmware.chips.processor import PowerLostError, Processor
from reconciler.devices.serial_frame import Deframer, encode_frame

ANSWER_US: Final = 2_000_000
_FRAME_BYTES_MAX: Final = 1300


class ChipDevice:
    """A device at one address of a line. After a power cut it is switched on again at once."""

    def __init__(self, core: Processor, address: int) -> None:
        self.core = core
        self.cuts = 0
        self._address = address
        self._deframer = Deframer(coded_bytes_max=_FRAME_BYTES_MAX)

    def say(self, message: bytes) -> None:
        """Send a message that is not answered."""
        self.core.chip.received += encode_frame(self._address, message, opening=True)

    def ask(self, message: bytes) -> bytes | None:
        """Send a question; return the answer, or None when none comes in time."""
        self._deframer.reset()
        self.say(message)
        return self.hear()

    def hear(self) -> bytes | None:
        """Return the next message of the device, or None when none comes in time."""
        return self._run(ANSWER_US)

    def now_s(self) -> float:
        """Return the time of the chip."""
        return self.core.chip.now_us / 1e6

    def let_pass(self, seconds: float) -> None:
        """Let the device work on its own for a while."""
        self._run(round(seconds * 1e6))

    def _run(self, duration_us: int) -> bytes | None:
        chip = self.core.chip
        ends_us = chip.now_us + duration_us
        while chip.now_us < ends_us:
            try:
                self.core.step()
            except PowerLostError:
                self.cuts += 1
                chip.flash.cut_at = None
                self.core.power_on()
                return None
            if self.core.idle:
                self.core.sleep(ends_us)
            if chip.sent:
                said = bytes(chip.sent)
                chip.sent.clear()
                for frame in self._deframer.feed(said):
                    if frame.address == self._address:
                        return frame.message
        return None
