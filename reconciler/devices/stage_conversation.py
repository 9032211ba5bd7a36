# SPDX-License-Identifier: Apache-2.0
"""Conversations with a device that runs the stage of a pipeline: open a session, run an input.

Like all conversations they are pure (conversation.py). Nothing that the device sends is used before its tag is
verified.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.devices.conversation import (
    DEFAULT_RETRY,
    ConversationStep,
    OneQuestion,
    Rejected,
    RetryPolicy,
    SessionOpened,
    StageRan,
)
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.link import Turn
from reconciler.devices.messages import Answer, TransferResult
from reconciler.devices.stage_messages import (
    FEED_TYPE,
    OUT_TYPE,
    FeedStage,
    FetchStage,
    OpenSession,
    StageOutput,
    StageState,
)
from reconciler.model import DeviceId

RESENDS_MAX = 20  # of one input, after which the line or the device is given up


class SessionOpeningConversation(OneQuestion):
    """Opens a session with one device."""

    def __init__(
        self, device: DeviceId, question: OpenSession, session: DeviceSession, retry: RetryPolicy = DEFAULT_RETRY
    ) -> None:
        self._session = session
        super().__init__(device, question, retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept the device's confirmation of the key."""
        del now_s
        match answer:
            case StageState() if self._session.is_genuine(answer):
                return self._end(SessionOpened())
            case TransferResult(transfer=None, code=code) if code < 0:
                return self._end(Rejected(code, "opening a session"))
            case _:
                return None


class StageRun(OneQuestion):
    """Runs the stage on one input: feeds it in a burst, then fetches the outputs.

    A state in answer to the question says how much of the input has arrived; the rest is sent again, to the byte.
    """

    def __init__(
        self,
        device: DeviceId,
        session: DeviceSession,
        inputs: Sequence[bytes],
        output_bytes: int,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self._session = session
        self._seq = session.next_seq()
        self._pieces = tuple(_pieces(inputs, session.piece_bytes))
        self._wanted = output_bytes
        self._outputs = bytearray()
        self._resends = 0
        super().__init__(device, self._fetch(), retry)

    def begin(self, now_s: float) -> ConversationStep:
        """Feed the input."""
        del now_s
        return self._feed(0)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Take the next piece of the outputs, or send again what is missing of the input."""
        del now_s
        match answer:
            case StageOutput() if self._is_next(answer):
                self._outputs += answer.data
                self._silences = 0
                if len(self._outputs) >= self._wanted:
                    return self._end(StageRan(bytes(self._outputs)))
                self._question = self._fetch()
                return self._ask()
            case StageState(seq=seq, filled=filled) if self._session.is_genuine(answer) and seq <= self._seq:
                self._resends += 1
                if self._resends > RESENDS_MAX:
                    return self._end(Rejected(0, "feeding a stage"))
                return self._feed(filled if seq == self._seq else 0)
            case TransferResult(transfer=None, code=code) if code < 0:
                return self._end(Rejected(code, "running a stage"))
            case _:
                return None

    def _is_next(self, answer: StageOutput) -> bool:
        fits = len(self._outputs) + len(answer.data) <= self._wanted
        place = (answer.seq, answer.offset) == (self._seq, len(self._outputs))
        return fits and place and self._session.key.is_tag(answer.tag, OUT_TYPE, answer.seq, answer.offset, answer.data)

    def _fetch(self) -> FetchStage:
        return FetchStage(self._seq, len(self._outputs), self._session.piece_bytes)

    def _feed(self, start: int) -> ConversationStep:
        """Send the input from a byte on, in the pieces that it was cut into."""
        feeds = tuple(
            FeedStage(self._seq, offset, data, self._session.key.tag(FEED_TYPE, self._seq, offset, data))
            for offset, data in self._pieces
            if offset >= start
        )
        return ConversationStep(Turn(feeds, self._question, answer_s=self._patience.answer_after(self._silences)))


def _pieces(inputs: Sequence[bytes], most: int) -> list[tuple[int, bytes]]:
    """Cut inputs into pieces, none of which crosses from one to the next."""
    pieces = []
    begin = 0
    for data in inputs:
        pieces += [(begin + at, data[at : at + most]) for at in range(0, len(data), most)]
        begin += len(data)
    return pieces
