# SPDX-License-Identifier: Apache-2.0
"""Fetches what a device has learned: its forest, and the rows from which it grew that.

Every range is attested, and the forest has a SHA-256 of its own, so a lesson that ends in between is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.devices.conversation import Lost, Rejected
from reconciler.devices.errors import Malformed
from reconciler.devices.learned_regions import FOREST_HEAD_BYTES, GrownForest, StoredRows, parse_forest, parse_rows
from reconciler.devices.learned_regions import row_stride as stride_of
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ATTESTED_BYTES_MAX, Piece, Pull, SampleSpace
from reconciler.devices.sample_range import QUESTION_BYTES, AttestedRange, NotAttested, NothingNew, RangeFetch
from reconciler.model import DeviceId

WRITE_BYTES = (1, 2, 4, 8, 16, 32)  # write sizes of flash: which one a device has, its rows show
SHA_AT = 32  # in the head of a forest


@dataclass(frozen=True, slots=True)
class LearnedParts:
    """A forest, and the rows that the device has."""

    forest: GrownForest
    rows: StoredRows


FetchedParts = LearnedParts | NothingNew | NotAttested | Rejected | Lost | Malformed


class LearnedFetch:
    """One visit to a device that learns. `used_bytes` counts what passed over the link."""

    def __init__(self, session: LinkSession, device: DeviceId, features: int) -> None:
        self.used_bytes = 0
        self._session = session
        self._device = device
        self._features = features

    async def run(self, known_sha256: bytes | None) -> FetchedParts:
        """Fetch the forest with its rows, unless it is the known one, or there is none."""
        head = await self._head()
        if not isinstance(head, bytes):
            return head
        if len(head) < FOREST_HEAD_BYTES or head[SHA_AT:] == known_sha256:
            return NothingNew()
        data = await self._whole(SampleSpace.FOREST)
        rows = await self._whole(SampleSpace.ROWS) if isinstance(data, bytes) else b""
        if not isinstance(data, bytes):
            return data
        if not isinstance(rows, bytes):
            return rows
        try:
            return LearnedParts(parse_forest(data), self._parsed(rows))
        except Malformed as malformed:
            return malformed

    async def _head(self) -> bytes | Rejected | Lost:
        """Ask for the head alone. It is not signed: a change of it on the way delays a fetch, and no more."""
        piece = await self._session.pull(self._device, Pull(SampleSpace.FOREST, 0, FOREST_HEAD_BYTES))
        self.used_bytes += QUESTION_BYTES
        if not isinstance(piece, Piece):
            return piece
        self.used_bytes += len(piece.data)
        return piece.data

    async def _whole(self, space: SampleSpace) -> bytes | NotAttested | Rejected | Lost:
        """Fetch all that a space has, range by range."""
        data = b""
        while True:
            fetch = RangeFetch(self._session, self._device, space)
            fetched = await fetch.run(len(data), ATTESTED_BYTES_MAX)
            self.used_bytes += fetch.used_bytes
            match fetched:
                case AttestedRange() if fetched.start == len(data) and fetched.data:
                    data += fetched.data
                case AttestedRange() | NothingNew():
                    return data
                case failure:
                    return failure

    def _parsed(self, data: bytes) -> StoredRows:
        """Parse rows, whatever the write size of the device's flash is: with a wrong one, no row is valid."""
        strides = sorted({stride_of(self._features, write_bytes) for write_bytes in WRITE_BYTES})
        found = [parse_rows(data, features=self._features, stride=stride) for stride in strides]
        return max(found, key=lambda each: len(each.rows))
