# SPDX-License-Identifier: Apache-2.0
"""The head of the section FOREST (docs/specs/pack.md section 7): all that a parameter's value depends on.

It needs no NumPy, which the daemon does without.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import PackMalformed

DEPTH_UNIT = 2048
MAX_DEPTH = 63
LAYOUT = struct.Struct("<6B5HI")


class ForestMode(IntEnum):
    """What the sum over the trees means."""

    ISOLATION = 0
    CLASSIFICATION = 1
    REGRESSION = 2


@dataclass(frozen=True, slots=True)
class ForestHead:
    """The fields of the head, in their order in the section, without the depth unit, which follows from the mode."""

    mode: ForestMode
    flag: bool
    threshold_bits: int
    row_bits: int
    jump_bits: int
    deepest: int
    trees: int
    outputs: int
    rows: int
    subsample: int
    stream_bits: int

    @property
    def depth_unit(self) -> int:
        """What each level of depth adds to a sum."""
        return DEPTH_UNIT if self.mode is ForestMode.ISOLATION else 0

    @property
    def table_bytes(self) -> int:
        """The size of the leaf table, without padding."""
        return 2 * self.rows * self.outputs

    @property
    def stream_at(self) -> int:
        """Where the bit stream of the trees begins."""
        return LAYOUT.size + self.table_bytes + (-self.table_bytes % 4)


def decode_forest_head(data: bytes) -> ForestHead:
    """Read the head and check its fields (rule 20), and that the section has the length that they require."""
    if len(data) < LAYOUT.size:
        raise PackMalformed("FOREST is truncated")
    mode, flags, tb, lb, jb, deepest, trees, outputs, rows, unit, subsample, bits = LAYOUT.unpack_from(data)
    valid = mode in tuple(ForestMode) and flags <= 1 and 4 <= tb <= 16 and lb <= 16 and (jb == 0 or 8 <= jb <= 24)  # noqa: PLR2004
    valid &= deepest <= MAX_DEPTH and 1 <= trees <= 1024 and 1 <= outputs <= 64 and rows >= 1  # noqa: PLR2004
    if not valid or (mode != ForestMode.CLASSIFICATION and outputs != 1):
        raise PackMalformed("FOREST has a field out of range")
    head = ForestHead(ForestMode(mode), bool(flags), tb, lb, jb, deepest, trees, outputs, rows, subsample, bits)
    if unit != head.depth_unit or (head.mode is not ForestMode.ISOLATION and subsample):
        raise PackMalformed("FOREST has a depth unit or a subsample size that its mode does not use")
    stream_bytes = (bits + 7) // 8 + 3
    if len(data) != head.stream_at + stream_bytes + (-stream_bytes % 4):
        raise PackMalformed("FOREST does not have the length that its fields require")
    return head
