# SPDX-License-Identifier: Apache-2.0
"""Fetches a range of a sample log, or of what a device has learned: pieces, then its signature over all of them.

Pieces are not signed, so nothing of a range is returned unless the device's own digest of it matches. Whatever is
lost, damaged or repeated on the way costs another question, and never a wrong sample.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from reconciler.devices.conversation import Lost, Rejected, SampleRange
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ATTESTED_BYTES_MAX, PIECE_BYTES_MAX, Piece, Pull, SampleSpace
from reconciler.devices.reports import HeldSamples, SamplesAttestation
from reconciler.devices.sample_records import bytes_to_boundary
from reconciler.model import SHORT_DIGEST_BYTES, DeviceId

QUESTION_BYTES = 40  # a frame with `pull`, and what is around a piece
ATTESTATION_BYTES = 240  # both frames
LOGS = (SampleSpace.ANOMALIES, SampleSpace.NORMALS)


@dataclass(frozen=True, slots=True)
class AttestedRange:
    """Bytes of a sample log, with the device's signed statement about them."""

    data: bytes
    attestation: SamplesAttestation

    @property
    def start(self) -> int:
        """The offset of the first byte."""
        return self.attestation.start

    @property
    def held(self) -> HeldSamples:
        """What the device has of this space. How many rows it has, the range itself says."""
        said, learning = self.attestation, self.attestation.learning
        match said.space:
            case SampleSpace.ANOMALIES:
                return said.anomalies
            case SampleSpace.NORMALS:
                return said.normals
            case SampleSpace.ROWS:
                return HeldSamples(0, said.end)
            case SampleSpace.FOREST:
                return HeldSamples(0, learning.forest_bytes if learning is not None else said.end)


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The log ends where the gateway's cursor is."""


@dataclass(frozen=True, slots=True)
class NotAttested:
    """The device signed another digest than that of the pieces: they changed on the way, or its flash did."""


FetchedRange = AttestedRange | NothingNew | NotAttested | Rejected | Lost


class RangeFetch:
    """One visit to one log of one device. `used_bytes` counts what passed over the link."""

    def __init__(self, session: LinkSession, device: DeviceId, space: SampleSpace) -> None:
        self.used_bytes = 0
        self._session = session
        self._device = device
        self._space = space

    async def run(self, cursor: int, wanted_bytes: int) -> FetchedRange:
        """Fetch about as many bytes as wanted from the cursor on; of a log, up to the end of a record."""
        first = await self._pull(cursor, wanted_bytes)
        if not isinstance(first, Piece):
            return first
        if not first.data and first.start == cursor:
            return NothingNew()
        data = await self._rest(first, min(wanted_bytes, ATTESTED_BYTES_MAX)) if first.data else b""
        self.used_bytes += ATTESTATION_BYTES
        asked = SampleRange(self._space, first.start, first.start + len(data))
        attestation = await self._session.attest(self._device, asked)
        if not isinstance(attestation, SamplesAttestation):
            return attestation
        if attestation.digest16 != hashlib.sha256(data).digest()[:SHORT_DIGEST_BYTES]:
            return NotAttested()
        return AttestedRange(data, attestation)

    async def _rest(self, first: Piece, wanted_bytes: int) -> bytes:
        """Pull on from the first piece until there is enough, and no record is cut off, or no more comes.

        Where the log ends or was overwritten, or the device falls silent, what has arrived may still be attested.
        """
        data = first.data
        while (more := _missing(data, wanted_bytes, in_records=self._space in LOGS)) > 0:
            piece = await self._pull(first.start + len(data), more)
            if not isinstance(piece, Piece) or not piece.data or piece.start != first.start + len(data):
                break
            data += piece.data
        return data

    async def _pull(self, start: int, bytes_max: int) -> Piece | Rejected | Lost:
        pull = Pull(self._space, start, min(bytes_max, self._session.link.block_bytes(PIECE_BYTES_MAX)))
        piece = await self._session.pull(self._device, pull)
        self.used_bytes += QUESTION_BYTES + (len(piece.data) if isinstance(piece, Piece) else 0)
        return piece


def _missing(data: bytes, wanted_bytes: int, *, in_records: bool) -> int:
    """Return how many bytes to ask for next."""
    left = ATTESTED_BYTES_MAX - len(data)
    cut_off = bytes_to_boundary(data) if in_records else 0
    return min(left, max(cut_off, wanted_bytes - len(data)))
