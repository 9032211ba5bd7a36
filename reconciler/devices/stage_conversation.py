# SPDX-License-Identifier: Apache-2.0
"""Conversations with a device that runs the stage of a pipeline: open a session, run an input.

Like all conversations they are pure (conversation.py). Nothing that the device sends is used before its tag is
verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

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

    A state in answer to the question says how much of the input has arrived; the rest is sent again, to the byte. Once
    there are outputs, up to `ahead` pieces of them are asked for without waiting for each.
    """

    def __init__(  # noqa: PLR0913 - one input, and how it is run
        self,
        device: DeviceId,
        session: DeviceSession,
        inputs: Sequence[bytes],
        output_bytes: Sequence[int],
        retry: RetryPolicy = DEFAULT_RETRY,
        *,
        ahead: int = 1,
    ) -> None:
        self._session = session
        self._seq = session.next_seq()
        self._pieces = tuple(_pieces(inputs, session.piece_bytes))
        self._sizes = tuple(output_bytes)
        self._wanted = sum(output_bytes)
        self._longest = 0  # piece that the device sent: its buffer may be smaller than a piece
        self._ahead = ahead
        self._asked = 0  # the offset of the last piece that is asked for
        self._outputs = bytearray()
        self._resends = 0
        super().__init__(device, self._fetch(0), retry)

    def begin(self, now_s: float) -> ConversationStep:
        """Feed the input."""
        del now_s
        return self._feed(0)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Take the next piece of the outputs, or send again what is missing of the input."""
        del now_s
        match answer:
            case StageOutput() if self._is_next(answer):
                return self._take(answer.data)
            case StageState(seq=seq, filled=filled) if self._session.is_genuine(answer) and seq <= self._seq:
                self._resends += 1
                if self._resends > RESENDS_MAX:
                    return self._end(Rejected(0, "feeding a stage"))
                return self._feed(filled if seq == self._seq else 0)
            case TransferResult(transfer=None, code=code) if code < 0:
                return self._end(Rejected(code, "running a stage"))
            case _:
                return None

    def _take(self, data: bytes) -> ConversationStep:
        """Add a piece to the outputs, and wait for the next one or ask for it."""
        self._outputs += data
        self._longest = max(self._longest, len(data))
        self._silences = 0
        if len(self._outputs) >= self._wanted:
            return self._end(StageRan(bytes(self._outputs)))
        if len(self._outputs) <= self._asked:
            return ConversationStep(wake_after_s=self._patience.answer_after(self._silences))
        return self._fetch_ahead()

    def _is_next(self, answer: StageOutput) -> bool:
        fits = len(self._outputs) + len(answer.data) <= self._wanted
        place = (answer.seq, answer.offset) == (self._seq, len(self._outputs))
        return fits and place and self._session.key.is_tag(answer.tag, OUT_TYPE, answer.seq, answer.offset, answer.data)

    def silent(self, now_s: float) -> ConversationStep:
        """Ask again for the next piece alone."""
        self._question = self._fetch(len(self._outputs))
        return super().silent(now_s)

    def _fetch(self, offset: int) -> FetchStage:
        self._asked = offset
        return FetchStage(self._seq, offset, self._session.piece_bytes)

    def _fetch_ahead(self) -> ConversationStep:
        """Ask for the next pieces; the last question is the one that is asked again if nothing comes."""
        here = len(self._outputs)
        further = (offset for offset in _offsets(self._sizes, self._longest) if offset > here)
        wanted = [here, *islice(further, self._ahead - 1)]
        *before, self._question = map(self._fetch, wanted)
        answer_s = self._patience.answer_after(self._silences)
        return ConversationStep(Turn(question=self._question, before=tuple(before), answer_s=answer_s))

    def _feed(self, start: int) -> ConversationStep:
        """Send the input from a byte on, in the pieces that it was cut into."""
        self._question = self._fetch(len(self._outputs))
        feeds = tuple(
            FeedStage(self._seq, offset, data, self._session.key.tag(FEED_TYPE, self._seq, offset, data))
            for offset, data in self._pieces
            if offset >= start
        )
        return ConversationStep(Turn(feeds, self._question, answer_s=self._patience.answer_after(self._silences)))


def _offsets(sizes: Sequence[int], most: int) -> Iterator[int]:
    """Return where the pieces of outputs begin, none of which crosses from one to the next."""
    begin = 0
    for size in sizes:
        yield from range(begin, begin + size, most)
        begin += size


def _pieces(inputs: Sequence[bytes], most: int) -> list[tuple[int, bytes]]:
    """Cut inputs into pieces, none of which crosses from one to the next."""
    pieces = []
    begin = 0
    for data in inputs:
        pieces += [(begin + at, data[at : at + most]) for at in range(0, len(data), most)]
        begin += len(data)
    return pieces
