# SPDX-License-Identifier: Apache-2.0
"""One request from the side that asks: what is sent, when it is sent again, and its answer. Time is passed in.

It is repeated until there is an answer, also after a node has taken it: what took it may have ended since, and
messages may be lost. The same call again never runs twice, so this is safe.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.bus.data_parts import DataParts
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, PartMessage, TakenMessage, parts
from reconciler.operations.codes import AnswerCode

ASK_AGAIN_S = 2.0
SILENT_S = 5.0  # without a sign of life, although it was asked again
SLOWEST_BYTES_PER_S = 100_000  # data on its way is not silence


class Asking:
    """A request that has no answer yet."""

    def __init__(self, ask: AskMessage, data: bytes, now_s: float, expires_s: float) -> None:
        """Begin with a request, whose data is passed apart from it."""
        self.taken_by: str | None = None
        self.expires_s = expires_s
        self._parts = parts(ask.call, data)
        self._ask = replace(ask, data=None if self._parts else data)
        self._way_s = len(data) / SLOWEST_BYTES_PER_S
        self._arrived = DataParts()
        self._heard_s = now_s
        self._due_s = now_s
        self._known = False  # the other side has the data

    def due_in_s(self, now_s: float) -> float:
        """Return after how long it is to be sent again, or expires."""
        return max(0.0, min(self._due_s, self.expires_s) - now_s)

    def silent(self, now_s: float) -> bool:
        """Return whether nobody answers."""
        return now_s - self._heard_s >= SILENT_S + self._way_s

    def due(self, now_s: float) -> list[BusMessage]:
        """Return what is to be sent now."""
        if now_s < self._due_s or now_s >= self.expires_s:
            return []
        self._due_s = now_s + ASK_AGAIN_S + (0.0 if self._known else self._way_s)
        left_ms = max(1, int((self.expires_s - now_s) * 1000))
        return [*(() if self._known else self._parts), replace(self._ask, deadline_ms=left_ms)]

    def again(self) -> None:
        """Send it again at once: what was sent may be lost."""
        self._due_s = 0.0

    def received(self, message: BusMessage, now_s: float) -> DoneMessage | None:
        """Take in a message; return the answer with its whole data, once it is there."""
        self._heard_s = now_s
        if isinstance(message, TakenMessage):
            self.taken_by, self._known = message.node, True
        elif isinstance(message, PartMessage):
            self._arrived.add("", message, now_s)
        elif isinstance(message, DoneMessage):
            if self._parts and self._known and message.code is AnswerCode.TOO_LARGE:
                self._known = False  # it has forgotten the call, and asks for the data
                self.again()
                return None
            data = message.data if message.data is not None else self._arrived.take("", message.call)
            if data is not None:
                return replace(message, data=data)
            self.again()  # a part is missing: the same call again gets the same answer
        return None
