# SPDX-License-Identifier: Apache-2.0
"""The calls of the last ten minutes: one that arrives twice gets the same answer, and nothing runs twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from reconciler.operations.limits import REMEMBERED_BYTES, REMEMBERED_CALLS, REMEMBERED_S

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class CallState(Enum):
    """What is known of a call."""

    NEW = auto()
    RUNNING = auto()
    ANSWERED = auto()
    DROPPED = auto()  # it has run, and its answer is no longer kept
    FULL = auto()  # it is not known, and can't be remembered


@dataclass(slots=True)
class _Record(Generic[Answer]):
    since_s: float
    answer: Answer | None = None
    size: int = 0
    done: bool = False


class RecentCalls(Generic[Key, Answer]):
    """Remembers calls and answers within limits. Time is passed in, and never decreases."""

    def __init__(self, *, calls: int = REMEMBERED_CALLS, answer_bytes: int = REMEMBERED_BYTES) -> None:
        self._calls_max, self._bytes_max = calls, answer_bytes
        self._records: OrderedDict[Key, _Record[Answer]] = OrderedDict()  # the oldest call first
        self._kept: OrderedDict[Key, int] = OrderedDict()  # answers, the oldest first, with their sizes
        self._bytes = 0

    def knows(self, key: Key, now_s: float) -> bool:
        """Return whether a call is one of the last ten minutes."""
        self._forget(now_s)
        return key in self._records

    def begin(self, key: Key, now_s: float) -> tuple[CallState, Answer | None]:
        """Look up a call; one that is new counts as running from now on."""
        self._forget(now_s)
        known = self._records.get(key)
        if known is None:
            if len(self._records) >= self._calls_max:
                return CallState.FULL, None
            self._records[key] = _Record(now_s)
            return CallState.NEW, None
        if not known.done:
            return CallState.RUNNING, None
        return (CallState.DROPPED, None) if known.answer is None else (CallState.ANSWERED, known.answer)

    def end(self, key: Key, answer: Answer, size: int) -> None:
        """Keep the answer of a running call; the oldest answers go first."""
        record = self._records[key]
        record.answer, record.size, record.done = answer, size, True
        self._kept[key] = size
        self._bytes += size
        while self._bytes > self._bytes_max:
            oldest = next(iter(self._kept))
            self._drop_answer(oldest)

    def _forget(self, now_s: float) -> None:
        """Forget calls that are old enough. One that still runs is kept."""
        while self._records:
            key, record = next(iter(self._records.items()))
            if now_s - record.since_s < REMEMBERED_S:
                return
            if not record.done:
                record.since_s = now_s
                self._records.move_to_end(key)
                continue
            self._drop_answer(key)
            del self._records[key]

    def _drop_answer(self, key: Key) -> None:
        self._bytes -= self._kept.pop(key, 0)
        self._records[key].answer = None
