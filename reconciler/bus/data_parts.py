# SPDX-License-Identifier: Apache-2.0
"""Data that arrives in parts, within limits. Time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from reconciler.bus.messages import PartMessage
from reconciler.operations.limits import PARTS_BYTES_MAX, PARTS_S

Key = tuple[str, bytes]  # the sender and the call


@dataclass(slots=True)
class _Arriving:
    since_s: float
    total: int
    data: bytearray


class DataParts:
    """Collects parts until the message that they belong to arrives."""

    def __init__(self, *, bytes_max: int = PARTS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._arriving: OrderedDict[Key, _Arriving] = OrderedDict()
        self._bytes = 0

    def add(self, sender: str, part: PartMessage, now_s: float) -> bool:
        """Take in a part; return False if it does not continue the one before it, or there is no space."""
        self._drop_old(now_s)
        key = (sender, part.call)
        if part.offset == 0:
            self._drop(key)
            self._arriving[key] = _Arriving(now_s, part.total, bytearray())
        arriving = self._arriving.get(key)
        if arriving is None or arriving.total != part.total or len(arriving.data) != part.offset:
            return False
        if self._bytes + len(part.data) > self._bytes_max:
            self._drop(key)
            return False
        arriving.data += part.data
        self._bytes += len(part.data)
        return True

    def take(self, sender: str, call: bytes) -> bytes | None:
        """Return the data of a call, if all of it has arrived."""
        key = (sender, call)
        arriving = self._arriving.get(key)
        whole = arriving is not None and len(arriving.data) == arriving.total
        data = bytes(arriving.data) if arriving is not None and whole else None
        self._drop(key)
        return data

    def _drop_old(self, now_s: float) -> None:
        while self._arriving:
            key, oldest = next(iter(self._arriving.items()))
            if now_s - oldest.since_s < PARTS_S:
                return
            self._drop(key)

    def _drop(self, key: Key) -> None:
        gone = self._arriving.pop(key, None)
        self._bytes -= len(gone.data) if gone is not None else 0
