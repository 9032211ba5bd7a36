# SPDX-License-Identifier: Apache-2.0
"""How noisy a line is, and which block size wastes least on it.

Single flipped bits are mended, so a frame of n bits is lost when two or more bits flip: about (n e)²/2 for a
bit error rate e. Each block also pays h bits of frame and message around it, a share of h/n. The sum of both
is least at n = cube root of (h / e²).

A line that nothing has been heard on yet is taken for a noisy one (3e-5, blocks of 688 bytes): on a clean line
that costs 1 % more than the largest blocks would, on a noisy one the largest blocks would cost far more.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK_OVERHEAD_BYTES = 20  # address, CRC, COBS, delimiter, and the message around a block
BLOCK_STEP_BYTES = 16
BLOCK_LEAST_BYTES = 64
MEMORY_BITS = 2_000_000  # what was seen longer ago counts for less: lines change
PRIOR_BITS = 40_000  # as if so many bits had come with PRIOR_ERRORS before anything was heard
PRIOR_ERRORS = 1.2


@dataclass(slots=True)
class LineQuality:
    """A running estimate of the bit error rate from the frames that came, or did not."""

    bits: float = PRIOR_BITS
    errors: float = PRIOR_ERRORS

    def frame(self, byte_count: int, *, flipped: int) -> None:
        """Count one frame: 0 flipped bits, 1 when it was mended, 2 when it was beyond mending."""
        self.bits += byte_count * 8
        self.errors += flipped
        if self.bits > MEMORY_BITS:
            self.bits /= 2
            self.errors /= 2

    @property
    def bit_error_rate(self) -> float:
        """The estimate."""
        return self.errors / self.bits


def best_block_bytes(bit_error_rate: float, most: int) -> int:
    """Return the block size that wastes least: a multiple of 16, at most what the device takes."""
    if bit_error_rate <= 0:
        return most
    best = (BLOCK_OVERHEAD_BYTES * 8 / bit_error_rate**2) ** (1 / 3) / 8
    stepped = int(best) // BLOCK_STEP_BYTES * BLOCK_STEP_BYTES
    return min(most, max(BLOCK_LEAST_BYTES, stepped))
