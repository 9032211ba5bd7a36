# SPDX-License-Identifier: Apache-2.0
"""Grows an isolation forest from rows of integers, exactly as a device does (docs/specs/learning.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.compiler.pack.bitstream import BitWriter
from reconciler.compiler.pack.forest_head import DEPTH_UNIT, LAYOUT, ForestMode
from reconciler.compiler.pack.pack_format import pad4

Row = Sequence[int]

_MASK = 0xFFFFFFFF
_ONE = 1 << 24  # the fixed point of the leaf table
_ROUNDING = 13
_FRONT_UNIT = 32  # bytes: the largest write unit of flash


@dataclass(frozen=True, slots=True)
class ForestForm:
    """What a grown forest has in common with the forest of its pack."""

    features: int
    trees: int
    subsample: int
    threshold_bits: int

    @property
    def feature_bits(self) -> int:
        """The width of the number of a feature."""
        return (self.features - 1).bit_length()

    @property
    def row_bits(self) -> int:
        """The width of the number of a leaf's row, and the depth of the deepest leaf."""
        return (self.subsample - 1).bit_length()

    @property
    def front_bytes(self) -> int:
        """The bytes before the bit stream."""
        return -(-(LAYOUT.size + 2 * self.subsample) // _FRONT_UNIT) * _FRONT_UNIT

    @property
    def table_rows(self) -> int:
        """The rows of the leaf table, which fills its write units."""
        return (self.front_bytes - LAYOUT.size) // 2


class _Generator:
    """The generator of golden inputs (pack.md, section 4)."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, count: int) -> int:
        """Return a number from 0 to count - 1."""
        s = self._state
        s ^= s << 13 & _MASK
        s ^= s >> 17
        self._state = s ^ (s << 5 & _MASK)
        return self._state * count >> 32


def grow_forest(rows: Sequence[Row], form: ForestForm, seed: int) -> bytes:
    """Return the section FOREST."""
    random, stream = _Generator(seed), BitWriter()
    for _ in range(form.trees):
        _grow_tree(list(_draw(rows, form.subsample, random)), form, random, stream)
    head = LAYOUT.pack(
        ForestMode.ISOLATION, 1, form.threshold_bits, form.row_bits, 0, form.row_bits, form.trees, 1,
        form.table_rows, DEPTH_UNIT, form.subsample, stream.length,
    )  # fmt: skip
    table = b"".join(depth.to_bytes(2, "little") for depth in leaf_table(form.table_rows))
    return head + table + pad4(stream.getvalue() + bytes(3))


def leaf_table(rows: int) -> list[int]:
    """Return, by number of rows in a leaf, the mean depth of what would have grown there, in 1/2048 of a split."""
    table, harmonic = [0, DEPTH_UNIT], _ONE
    for m in range(2, rows):
        harmonic += _ONE // m
        depth = 2 * harmonic - _ONE // m + _ONE // (6 * m * m) - 2 * _ONE + 2 * _ONE // (m + 1)
        table.append(depth + (1 << _ROUNDING - 1) >> _ROUNDING)
    return table


def _draw(rows: Sequence[Row], wanted: int, random: _Generator) -> Iterator[Row]:
    left = len(rows)
    for row in rows:
        if not wanted:
            return
        if random.below(left) < wanted:
            wanted -= 1
            yield row
        left -= 1


def _grow_tree(sample: list[Row], form: ForestForm, random: _Generator, stream: BitWriter) -> None:
    pending = [(sample, 0)]
    while pending:
        rows, depth = pending.pop()
        if len(rows) == 1:
            stream.put(0, 2)
            continue
        split = None if depth == form.row_bits else _choose(rows, form.features, random)
        if split is None:
            stream.put(2 | len(rows) - 1 << 2, 2 + form.row_bits)
            continue
        feature, least, most = split
        threshold = least + random.below(most - least)
        stream.put(1, 1)
        stream.put(feature, form.feature_bits)
        stream.put(threshold, form.threshold_bits)
        pending.append(([row for row in rows if row[feature] > threshold], depth + 1))
        pending.append(([row for row in rows if row[feature] <= threshold], depth + 1))


def _choose(rows: Sequence[Row], features: int, random: _Generator) -> tuple[int, int, int] | None:
    """Return a feature that differs between the rows, with its least and its greatest value."""
    first = random.below(features)
    for feature in ((first + tried) % features for tried in range(features)):
        values = [row[feature] for row in rows]
        if min(values) < max(values):
            return feature, min(values), max(values)
    return None
