# SPDX-License-Identifier: Apache-2.0
"""A man in the middle of a line: hears every question first, may withhold it, and may answer in the device's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.devices.messages import Answer, Message, Missing, Offer, Stage, TransferResult, encode, parse
from reconciler.devices.serial_frame import Deframer, encode_frame
from reconciler.devices.simulated_line import Station

CODED_BYTES_MAX = 4200


@dataclass(frozen=True)
class Forged:
    """An answer in the device's name, in place of its own."""

    answer: Answer | None  # None: silence
    withheld: bool = True  # the device does not even hear the question


Attack = Callable[[Message], Forged | None]  # None: question and answer pass


def answering(kind: type[Message], code: int, *, withheld: bool) -> Attack:
    """Answer one kind of question with a code."""

    def attack(question: Message) -> Forged | None:
        if not isinstance(question, kind):
            return None
        name = question.transfer if isinstance(question, (Offer, Missing, Stage)) else None
        return Forged(TransferResult(name, code), withheld=withheld)

    return attack


class ManInTheMiddle:
    """A station of a line with another one behind it, which has the same address."""

    def __init__(self, station: Station, address: int, attack: Attack) -> None:
        self.attack: Attack | None = attack  # None: it has given up
        self.forged = 0
        self._station, self._address = station, address
        self._deframer = Deframer(coded_bytes_max=CODED_BYTES_MAX)

    def hear(self, data: bytes, now_s: float) -> bytes:
        """Answer the questions for this address, or let the device do so."""
        return b"".join(
            self._answer(frame.message, now_s) for frame in self._deframer.feed(data) if frame.address == self._address
        )

    def _answer(self, message: bytes, now_s: float) -> bytes:
        forged = self.attack(parse(message)) if self.attack is not None else None
        own = b""
        if forged is None or not forged.withheld:
            own = self._station.hear(encode_frame(self._address, message, opening=True), now_s)
        if forged is None:
            return own
        self.forged += 1
        return encode_frame(self._address, encode(forged.answer), opening=True) if forged.answer else b""
