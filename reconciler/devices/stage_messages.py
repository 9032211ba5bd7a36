# SPDX-License-Identifier: Apache-2.0
"""The messages between a gateway and a device that runs the stage of a pipeline (docs/specs/stages.md section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.devices.strict_cbor import octets, uint

STAGE_PIECE_BYTES_MAX = 1024
_DIGEST16_BYTES, _KEY_BYTES, _SIGNATURE_BYTES, _TAG_BYTES = 16, 32, 64, 16
_OPEN_TYPE, FEED_TYPE, _FETCH_TYPE, AT_TYPE, OUT_TYPE = 7, 8, 9, 16, 17


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Opens a session; answered by `StageState`, or by `TransferResult`."""

    session: int
    digest16: bytes
    peer: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class FeedStage:
    """Bytes of an input; never answered."""

    seq: int
    offset: int
    data: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class FetchStage:
    """Question for bytes of the outputs; answered by `StageOutput`, `StageState` or `TransferResult`."""

    seq: int
    offset: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class StageState:
    """How much of which input the device holds."""

    session: int
    seq: int
    filled: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class StageOutput:
    """Bytes of the outputs."""

    seq: int
    offset: int
    data: bytes
    tag: bytes


StageQuestion = OpenSession | FetchStage
StageOrder = StageQuestion | FeedStage  # gateway to device
StageAnswer = StageState | StageOutput  # device to gateway
StageMessage = StageOrder | StageAnswer


def stage_fields(message: StageMessage) -> list[object]:
    """Return a message as the items of its array."""
    match message:
        case OpenSession(session, digest16, peer, signature):
            return [_OPEN_TYPE, session, digest16, peer, signature]
        case FeedStage(seq, offset, data, tag):
            return [FEED_TYPE, seq, offset, data, tag]
        case FetchStage(seq, offset, bytes_max):
            return [_FETCH_TYPE, seq, offset, bytes_max]
        case StageState(session, seq, filled, tag):
            return [AT_TYPE, session, seq, filled, tag]
        case StageOutput(seq, offset, data, tag):
            return [OUT_TYPE, seq, offset, data, tag]


def parse_stage(kind: int, fields: list[object]) -> StageMessage | None:
    """Read a message of a stage; `None`: it is of another type."""
    match kind, fields:
        case 7, [session, digest16, peer, signature]:
            return OpenSession(
                uint(session, "session"),
                _exactly(digest16, "digest", _DIGEST16_BYTES),
                _exactly(peer, "peer", _KEY_BYTES),
                _exactly(signature, "signature", _SIGNATURE_BYTES),
            )
        case 8, [seq, offset, data, tag]:
            return FeedStage(uint(seq, "seq"), uint(offset, "offset"), _piece(data), _exactly(tag, "tag", _TAG_BYTES))
        case 9, [seq, offset, bytes_max]:
            return FetchStage(uint(seq, "seq"), uint(offset, "offset"), uint(bytes_max, "most"))
        case 16, [session, seq, filled, tag]:
            return StageState(
                uint(session, "session"), uint(seq, "seq"), uint(filled, "filled"), _exactly(tag, "tag", _TAG_BYTES)
            )
        case 17, [seq, offset, data, tag]:
            return StageOutput(uint(seq, "seq"), uint(offset, "offset"), _piece(data), _exactly(tag, "tag", _TAG_BYTES))
        case _:
            return None


def _exactly(value: object, what: str, size: int) -> bytes:
    return octets(value, what, min_bytes=size, max_bytes=size)


def _piece(value: object) -> bytes:
    return octets(value, "piece", min_bytes=1, max_bytes=STAGE_PIECE_BYTES_MAX)
