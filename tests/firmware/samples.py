# SPDX-License-Identifier: Apache-2.0
"""Reads the sample logs of a device (docs/specs/samples.md), and makes packs that keep normal windows."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Final, Protocol

from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.pack.tunable_parameters_section import (
    Parameter,
    decode_parameters,
    encode_parameters,
    name_hash,
)
from reconciler.devices.messages import Attest, Piece, Pull, SampleSpace, Signed, TransferResult, encode, parse_answer
from reconciler.devices.reports import SamplesAttestation, parse_body
from tests.firmware.bench import Made

STEP: Final = 32
HEAD: Final = struct.Struct("<IIIIIiBBH4s")
NONCE: Final = b"samples!"


class Asked(Protocol):
    """A device that answers questions."""

    def ask(self, message: bytes) -> bytes | None:
        """Send a question and return the answer."""


@dataclass(frozen=True)
class Record:
    """One sample."""

    offset: int
    boots: int
    ms: int
    windows: int
    score: int
    anomaly: bool
    element_type: int
    skipped: int
    context: bytes
    features: tuple[int, ...]
    window: bytes


def read_records(start: int, data: bytes) -> list[Record]:
    """Read the records in a range of a log, and skip whatever is not one."""
    records: list[Record] = []
    at = 0
    while at + HEAD.size <= len(data):
        record = _record(start + at, data[at:])
        if record is None:
            at += STEP
        else:
            records.append(record)
            length = int.from_bytes(data[at : at + 4], "little")
            at += -(-length // STEP) * STEP
    return records


def _record(offset: int, data: bytes) -> Record | None:
    length, crc, boots, ms, windows, score, flags, features, skipped, context = HEAD.unpack_from(data)
    covered = struct.pack("<II", length, offset) + data[8:length]
    if not HEAD.size <= length <= len(data) or zlib.crc32(covered) != crc:
        return None
    window_at = -(-(HEAD.size + 4 * features) // STEP) * STEP
    raw = struct.unpack_from(f"<{features}i", data, HEAD.size)
    window = data[window_at:length]
    return Record(
        offset, boots, ms, windows, score, bool(flags & 1), flags >> 1, skipped, context, tuple(raw), bytes(window)
    )


def pull(device: Asked, space: SampleSpace, start: int = 0, bytes_max: int = 600) -> Piece:
    """Pull one piece."""
    answer = parse_answer(device.ask(encode(Pull(space, start, bytes_max))) or b"")
    assert isinstance(answer, Piece), answer
    assert answer.space is space
    return answer


def pull_all(device: Asked, space: SampleSpace, start: int = 0) -> tuple[int, bytes]:
    """Pull everything from an offset on. Returns where it begins, and the bytes."""
    first = pull(device, space, start)
    data = first.data
    while piece := pull(device, space, first.start + len(data)).data:
        data += piece
    return first.start, data


def kept(device: Asked, space: SampleSpace) -> list[Record]:
    """Return all samples that the device has."""
    return read_records(*pull_all(device, space))


def attest(device: Asked, made: Made, space: SampleSpace, start: int, end: int) -> SamplesAttestation | TransferResult:
    """Ask for a signature over a range."""
    answer = parse_answer(device.ask(encode(Attest(NONCE, space, start, end))) or b"")
    if isinstance(answer, TransferResult):
        return answer
    assert isinstance(answer, Signed)
    body = parse_body(made.open_signed(answer.cose, NONCE))
    assert isinstance(body, SamplesAttestation)
    return body


def context_of(pack: bytes, parameters: int = 0) -> bytes:
    """Return the context of samples of this pack."""
    return hashlib.sha256(hashlib.sha256(pack).digest() + struct.pack("<I", parameters)).digest()[:4]


def with_sample_every(pack: bytes, every: int) -> bytes:
    """Add the parameter `sample-every` to a pack."""
    return with_parameters(pack, Parameter(name_hash("sample-every"), every, -1, 1 << 20))


def with_sample_windows(pack: bytes, windows: int) -> bytes:
    """Add the parameter `sample-windows` to a pack."""
    return with_parameters(pack, Parameter(name_hash("sample-windows"), windows, -1, 1 << 20))


def with_parameters(pack: bytes, *parameters: Parameter) -> bytes:
    """Add parameters to those of a pack."""
    parts = disassemble(pack)
    table = [*decode_parameters(parts.sections[SectionId.PARAMETERS]), *parameters]
    return assemble(
        type(parts)(parts.kind, parts.arena_bytes, {**parts.sections, SectionId.PARAMETERS: encode_parameters(table)})
    )
