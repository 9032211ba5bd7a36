# SPDX-License-Identifier: Apache-2.0
"""Encodes and parses the messages of docs/specs/protocol.md section 1.

`parse` returns the same value that `encode` was given, and raises `Malformed` for anything that is not in the single
deterministic form or is out of range.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from reconciler.devices.errors import Malformed
from reconciler.devices.operation_messages import (
    BuiltinReturned,
    CallBuiltin,
    DeviceRequest,
    OperationAnswer,
    OperationQuestion,
    ReplyToRequest,
    operation_fields,
    parse_operation,
)
from reconciler.devices.stage_messages import (
    FeedStage,
    FetchStage,
    OpenSession,
    StageAnswer,
    StageOutput,
    StageQuestion,
    StageState,
    parse_stage,
    stage_fields,
)
from reconciler.devices.strict_cbor import dump, integer, items, load, octets, uint
from reconciler.model import PayloadEncoding

TRANSFERS = 24  # transfer numbers are 0 to 23, one byte of CBOR
NONCE_BYTES = 8
ENVELOPE_BYTES_MAX = 512  # docs/specs/envelope.md; a device rejects longer ones
BLOCK_BYTES_MAX = 4096
BLOCK_BYTES_STEP = 16
BLOCKS_MAX = 4096
PIECE_BYTES_MAX = 600
ATTESTED_BYTES_MAX = 16_384  # docs/specs/samples.md
SIGNED_BYTES_MAX = 1024  # docs/specs/report.md
ROTATION_BYTES_MAX, DELEGATION_BYTES_MAX = 160, 176  # docs/specs/rotation.md
MESSAGE_OVERHEAD_BYTES = 64  # a message is at most this much larger than a block; MESSAGE_BYTES are always allowed
MESSAGE_BYTES = 1152


class ReportKind(IntEnum):
    """What an `Inquire` asks for."""

    REPORT = 0
    CAPABILITIES = 1
    SUMMARY = 2
    PARAMETERS = 3


class SampleSpace(IntEnum):
    """What can be pulled from a device: its logs of samples, and what it learns from (docs/specs/samples.md)."""

    ANOMALIES = 0
    NORMALS = 1
    ROWS = 2
    FOREST = 3


DONE = 0
WORKING = 1


@dataclass(frozen=True, slots=True)
class Inquire:
    """Question for one of the signed bodies. The answer is `Signed` or `TransferResult`."""

    what: ReportKind
    nonce: bytes


@dataclass(frozen=True, slots=True)
class PayloadOffer:
    """The encoding and the size of the payload that would follow an offer."""

    encoding: PayloadEncoding
    payload_bytes: int
    block_bytes: int

    @property
    def blocks(self) -> int:
        """The number of blocks of the payload."""
        return -(-self.payload_bytes // self.block_bytes)


@dataclass(frozen=True, slots=True)
class Offer:
    """An envelope and, unless it needs none, the payload that would follow."""

    transfer: int
    envelope: bytes
    payload: PayloadOffer | None


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of the payload; never answered."""

    transfer: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Question which blocks are missing. The answer is `Have` or `TransferResult`."""

    transfer: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Order to decode, check and try the payload. The answer is `TransferResult`, or `Have` if blocks are missing."""

    transfer: int


@dataclass(frozen=True, slots=True)
class Pull:
    """Question for samples from an offset on; answered by `Piece`, or by `TransferResult`."""

    space: SampleSpace
    start: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Attest:
    """Question for a signature over a range of samples; answered by `Signed`, or by `TransferResult`."""

    nonce: bytes
    space: SampleSpace
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RotateRoot:
    """Order to follow another root (docs/specs/rotation.md); answered by `TransferResult`."""

    rotation: bytes
    delegation: bytes  # by the new root; empty: none


@dataclass(frozen=True, slots=True)
class Signed:
    """A COSE object around one of the signed bodies."""

    cose: bytes


@dataclass(frozen=True, slots=True)
class Have:
    """The blocks that the device holds: all below `first`, not `first`, and those that `held` marks above it."""

    transfer: int
    first: int
    held: bytes

    def missing(self, blocks: int) -> list[int]:
        """Return the indexes that are still missing, in order."""
        if self.first >= blocks:
            return []
        marks = int.from_bytes(self.held, "little")
        return [self.first, *(i for i in range(self.first + 1, blocks) if not marks >> (i - self.first - 1) & 1)]


@dataclass(frozen=True, slots=True)
class TransferResult:
    """The result of an order: 0 done, 1 working, negative an error code of the device."""

    transfer: int | None
    code: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples from an offset on, which is later than the one asked for when those were overwritten."""

    space: SampleSpace
    start: int
    data: bytes


Question = Inquire | Offer | Missing | Stage | Pull | Attest | RotateRoot | StageQuestion | OperationQuestion
Unanswered = Block | FeedStage
Order = Question | Unanswered  # gateway to device
Answer = Signed | Have | TransferResult | Piece | StageAnswer | OperationAnswer  # device to gateway
Message = Order | Answer


def encode(message: Message) -> bytes:
    """Encode a message."""
    return dump(_fields(message))


def _fields(message: Message) -> list[object]:  # noqa: PLR0911  # one line per message is the point
    match message:
        case Inquire(what, nonce):
            return [0, int(what), nonce]
        case Offer(transfer, envelope, None):
            return [1, transfer, envelope, None]
        case Offer(transfer, envelope, PayloadOffer(encoding, payload_bytes, block_bytes)):
            return [1, transfer, envelope, [int(encoding), payload_bytes, block_bytes]]
        case Block(transfer, index, data):
            return [2, transfer, index, data]
        case Missing(transfer):
            return [3, transfer]
        case Stage(transfer):
            return [4, transfer]
        case Signed(cose):
            return [12, cose]
        case Have(transfer, first, held):
            return [13, transfer, first, held]
        case TransferResult(transfer, code):
            return [14, transfer, code]
        case _:
            return _rarer_fields(message)


def _rarer_fields(message: Message) -> list[object]:
    match message:
        case Pull(space, start, bytes_max):
            return [5, int(space), start, bytes_max]
        case Attest(nonce, space, start, end):
            return [6, nonce, int(space), start, end]
        case RotateRoot(rotation, delegation):
            return [24, rotation, delegation]
        case Piece(space, start, data):
            return [15, int(space), start, data]
        case OpenSession() | FeedStage() | FetchStage() | StageState() | StageOutput():
            return stage_fields(message)
        case CallBuiltin() | ReplyToRequest() | DeviceRequest() | BuiltinReturned():
            return operation_fields(message)
        case _:
            raise TypeError(f"not a message: {message!r}")


def parse(data: bytes) -> Message:
    """Parse a message, or raise `Malformed`."""
    if len(data) > max(MESSAGE_BYTES, MESSAGE_OVERHEAD_BYTES + BLOCK_BYTES_MAX):
        raise Malformed(f"a message of {len(data)} bytes")
    kind, *fields = items(load(data), "a message", 2, 3, 4, 5)
    match uint(kind, "type"), fields:  # uint() rules out False, which equals 0 in Python
        case 0, [what, nonce]:
            return Inquire(_report_kind(what), octets(nonce, "nonce", min_bytes=NONCE_BYTES, max_bytes=NONCE_BYTES))
        case 1, [transfer, envelope, payload]:
            content = octets(envelope, "envelope", min_bytes=1, max_bytes=ENVELOPE_BYTES_MAX)
            return Offer(_transfer(transfer), content, _payload(payload))
        case 2, [transfer, index, block]:
            return Block(_transfer(transfer), uint(index, "index", end=BLOCKS_MAX), _block(block))
        case 3, [transfer]:
            return Missing(_transfer(transfer))
        case 4, [transfer]:
            return Stage(_transfer(transfer))
        case number, _:
            parsed = _parse_rarer(number, fields) or parse_stage(number, fields) or parse_operation(number, fields)
            return parsed or _answer(number, fields)


def _parse_rarer(kind: int, fields: list[object]) -> Pull | Attest | RotateRoot | Piece | None:
    match kind, fields:
        case 5, [space, start, bytes_max]:
            return Pull(_space(space), uint(start, "from"), uint(bytes_max, "most"))
        case 6, [nonce, space, start, end]:
            content = octets(nonce, "nonce", min_bytes=NONCE_BYTES, max_bytes=NONCE_BYTES)
            return Attest(content, _space(space), uint(start, "from"), uint(end, "to"))
        case 24, [rotation, delegation]:
            signed = octets(rotation, "rotation", min_bytes=1, max_bytes=ROTATION_BYTES_MAX)
            return RotateRoot(signed, octets(delegation, "delegation", max_bytes=DELEGATION_BYTES_MAX))
        case 15, [space, start, data]:
            return Piece(_space(space), uint(start, "from"), octets(data, "piece", max_bytes=PIECE_BYTES_MAX))
        case _:
            return None


def parse_answer(data: bytes) -> Answer:
    """Parse a message from a device. A message of a gateway, such as an echo of our own, is `Malformed`."""
    match parse(data):
        case Signed() | Have() | TransferResult() | Piece() | StageState() | StageOutput() as answer:
            return answer
        case BuiltinReturned() | DeviceRequest() as answer:
            return answer
        case other:
            raise Malformed(f"a device never sends {type(other).__name__}")


def _answer(kind: int, fields: list[object]) -> Answer:
    match kind, fields:
        case 12, [cose]:
            return Signed(octets(cose, "signed", min_bytes=1, max_bytes=SIGNED_BYTES_MAX))
        case 13, [transfer, first, held]:
            marks = octets(held, "held", max_bytes=BLOCKS_MAX // 8)
            if marks.endswith(b"\0"):
                raise Malformed("held ends with zero bytes")
            return Have(_transfer(transfer), uint(first, "first", end=BLOCKS_MAX + 1), marks)
        case 14, [None, code]:
            return TransferResult(None, _code(code))
        case 14, [transfer, code]:
            return TransferResult(_transfer(transfer), _code(code))
        case _:
            raise Malformed(f"no message of type {kind} has {len(fields)} fields")


def _transfer(value: object) -> int:
    return uint(value, "transfer", end=TRANSFERS)


def _space(value: object) -> SampleSpace:
    return SampleSpace(uint(value, "space", end=len(SampleSpace)))


def _report_kind(value: object) -> ReportKind:
    return ReportKind(uint(value, "what", end=len(ReportKind)))


def _code(value: object) -> int:
    code = integer(value, "code")
    if code > WORKING:
        raise Malformed(f"a result of {code}")
    return code


def _block(value: object) -> bytes:
    return octets(value, "block", min_bytes=1, max_bytes=BLOCK_BYTES_MAX)


def _payload(value: object) -> PayloadOffer | None:
    if value is None:
        return None
    encoding, payload_bytes, block_bytes = items(value, "payload", 3)
    payload = PayloadOffer(
        PayloadEncoding(uint(encoding, "encoding", end=len(PayloadEncoding))),
        uint(payload_bytes, "payload-bytes"),
        uint(block_bytes, "block-bytes", end=BLOCK_BYTES_MAX + 1),
    )
    if not payload.block_bytes or payload.block_bytes % BLOCK_BYTES_STEP:
        raise Malformed(f"blocks of {payload.block_bytes} bytes")
    if not 0 < payload.blocks <= BLOCKS_MAX:
        raise Malformed(f"{payload.blocks} blocks")
    return payload
