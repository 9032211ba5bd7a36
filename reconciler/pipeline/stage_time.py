# SPDX-License-Identifier: Apache-2.0
"""How long a part of a network keeps a device busy, and of that its line: an estimate before any run."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.pipeline.anatomy import Segment
from reconciler.pipeline.partition import StageTime

PIECE_BYTES = 1024  # of a tensor in one message (docs/specs/stages.md)
TAG_INSTRUCTIONS = 20  # for each byte, to copy it and to compute its tag
PIECE_US = 300  # a question and its answer through a broker on the gateway
FRAME_BYTES = 36  # around each piece on a line
TURN_US = 4_000  # from one speaker on a line to the next
ASSUMED_MHZ = 100.0  # of a type that has no label with its clock
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """How fast a device computes and talks."""

    clock_mhz: float
    baud: int | None = None  # None: it is behind a broker


def computing_us(segment: Segment, clock_mhz: float, cycles_per_instruction: float) -> float:
    """Estimate how long one run of a part keeps the processor of a device busy, with the tags of all pieces."""
    instructions = segment.instructions + TAG_INSTRUCTIONS * segment.bytes_moved
    return instructions * cycles_per_instruction / clock_mhz


def stage_time(segment: Segment, speed: StageSpeed, cycles_per_instruction: float) -> StageTime:
    """Estimate one run of a part: its computation, the tags of all pieces, and the pieces on their way."""
    busy_us = computing_us(segment, speed.clock_mhz, cycles_per_instruction)
    given, kept = (
        sum(-(-size // PIECE_BYTES) for size in side) for side in (segment.input_bytes, segment.output_bytes)
    )
    if speed.baud is None:
        return StageTime(round(busy_us + PIECE_US * (1 + kept)))  # inputs go in one burst
    moved = segment.bytes_moved + FRAME_BYTES * (given + 2 * kept)
    line_us = round(moved * 10 * MICROSECONDS / speed.baud + TURN_US * 2 * kept)
    return StageTime(round(busy_us) + line_us, line_us)
