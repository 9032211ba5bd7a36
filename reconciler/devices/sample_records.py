# SPDX-License-Identifier: Apache-2.0
"""Parses the records of a sample log (docs/specs/samples.md, section 3).

The bytes come from a device that may be hostile, and from flash that may be torn. Whatever is not a valid record is
skipped in steps, as the specification says; nothing here raises for the content of a log.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reconciler.devices.messages import ATTESTED_BYTES_MAX
from reconciler.model import DeviceId
from reconciler.model.samples import Sample, SampleLog

STEP_BYTES = 32
_LENGTH_BYTES = 4
_HEAD = struct.Struct("<IIIIIiBBH4s")
_ELEMENT_BYTES = {1: 1, 2: 2, 3: 4}  # of docs/specs/pack.md, section 2
_ANOMALOUS = 1

WeightOf = Callable[[bytes], int]  # the windows that a sampled normal of this context stands for


@dataclass(frozen=True, slots=True)
class SampleOrigin:
    """What the records of a range have in common."""

    device: DeviceId
    log: SampleLog
    weight_of: WeightOf
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ParsedSamples:
    """The samples of a range, the offset after its last complete record, and how many bytes were none."""

    samples: tuple[Sample, ...]
    end: int
    skipped_bytes: int


def bytes_to_boundary(data: bytes) -> int:
    """Return how many bytes are missing to the end of the record in which `data`, which begins with one, ends."""
    at = 0
    while at < len(data):
        if len(data) - at < _LENGTH_BYTES:
            return STEP_BYTES - (len(data) - at)
        at += _taken(data, at)
    return at - len(data)


def parse_samples(origin: SampleOrigin, start: int, data: bytes) -> ParsedSamples:
    """Parse the range of a log that begins at an offset. A record that the range cuts off is left for the next one.

    The first record of a range is never left: otherwise bytes that only look like one would be asked for forever.
    """
    samples: list[Sample] = []
    at = skipped = 0
    while at + STEP_BYTES <= len(data):
        taken = _taken(data, at)
        if at + taken > len(data):
            if at:
                break
            taken = STEP_BYTES
        sample = _sample(origin, start + at, data[at : at + taken])
        if sample is None:
            taken = STEP_BYTES
            skipped += STEP_BYTES
        else:
            samples.append(sample)
        at += taken
    return ParsedSamples(tuple(samples), start + at, skipped)


def _taken(data: bytes, at: int) -> int:
    """Return the bytes that the record at this place takes, if it is one; else those of a step."""
    length = int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
    if not STEP_BYTES <= length <= ATTESTED_BYTES_MAX:
        return STEP_BYTES
    return _rounded_up(length)


def _sample(origin: SampleOrigin, offset: int, data: bytes) -> Sample | None:
    """Return the sample in these bytes; None if they are not a valid record."""
    length, crc, boots, uptime_ms, inferences, score, flags, count, skipped, context = _HEAD.unpack_from(data)
    if not STEP_BYTES <= length <= len(data):
        return None
    if zlib.crc32(data[8:length], zlib.crc32(struct.pack("<II", length, offset))) != crc:
        return None
    features_end = _HEAD.size + 4 * count
    window_at = _rounded_up(features_end)
    element = flags >> 1
    window = data[window_at:length] if length > window_at else b""
    if not _is_consistent(length, features_end, window_at, element, len(window)):
        return None
    anomalous = bool(flags & _ANOMALOUS)
    return Sample(
        device=origin.device,
        log=origin.log,
        offset=offset,
        boots=boots,
        uptime_ms=uptime_ms,
        inferences=inferences,
        score=score,
        anomalous=anomalous,
        skipped=skipped,
        context=context,
        features=struct.unpack_from(f"<{count}i", data, _HEAD.size),
        window=window or None,
        element_type=element,
        weight=1 if origin.log is SampleLog.ANOMALIES else max(1, origin.weight_of(context)),
        received_at=origin.received_at,
    )


def _is_consistent(length: int, features_end: int, window_at: int, element: int, window_bytes: int) -> bool:
    """Return whether a record has room for what it says that it has."""
    if length < features_end:
        return False
    if element == 0:
        return length == window_at
    size = _ELEMENT_BYTES.get(element)
    return size is not None and window_bytes > 0 and window_bytes % size == 0


def _rounded_up(count: int) -> int:
    return -(-count // STEP_BYTES) * STEP_BYTES
