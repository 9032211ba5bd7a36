# SPDX-License-Identifier: Apache-2.0
"""When to try again what failed: after a pause that doubles with each failure, and is a little different for each."""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
JITTER = 0.25  # of the pause: what failed together is not tried again together
_DOUBLINGS = 16  # exceeds any longest pause; without this limit the power would overflow a float


@dataclass(slots=True)
class _Pause:
    failures: int = 0
    ends_s: float = 0.0


class Backoff(Generic[Key]):
    """The pauses of what failed, by key."""

    def __init__(self, first_s: float, longest_s: float, jitter: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self._pauses: dict[Key, _Pause] = {}

    def failed(self, key: Key, now_s: float) -> None:
        """Begin a pause, twice as long as the last one."""
        pause = self._pauses.setdefault(key, _Pause())
        pause_s = min(self._first_s * 2.0 ** min(pause.failures, _DOUBLINGS), self._longest_s)
        pause.failures += 1
        pause.ends_s = now_s + pause_s * (1 + self._jitter.uniform(0, JITTER))

    def forget(self, key: Key) -> None:
        """End the pause, and forget the failures before it."""
        self._pauses.pop(key, None)

    def forget_others(self, keys: Collection[Key]) -> None:
        """Forget everything but these."""
        for key in self._pauses.keys() - set(keys):
            del self._pauses[key]

    def may_try(self, key: Key, now_s: float) -> bool:
        """Return whether there is no pause, or it is over."""
        pause = self._pauses.get(key)
        return pause is None or now_s >= pause.ends_s

    def next_try_in_s(self, keys: Iterable[Key], now_s: float) -> float | None:
        """Return after how long the first pause of these keys ends; None: none of them has one."""
        pauses = (self._pauses[key] for key in keys if key in self._pauses)
        return min((max(0.0, pause.ends_s - now_s) for pause in pauses), default=None)
