# SPDX-License-Identifier: Apache-2.0
"""The sections FOREST and FEATURES (docs/specs/pack.md section 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.bitstream import BitReader, BitWriter
from reconciler.compiler.pack.forest_head import DEPTH_UNIT, LAYOUT, MAX_DEPTH, ForestMode, decode_forest_head
from reconciler.compiler.pack.pack_format import pad4


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf: a row of the leaf table."""

    row: int


@dataclass(frozen=True, slots=True)
class Split:
    """An inner node: go left if the feature is at most the threshold."""

    feature: int
    threshold: int
    left: Tree
    right: Tree


Tree = Leaf | Split


@dataclass(frozen=True, slots=True)
class Forest:
    """The trees of an ensemble, with the table of their leaves."""

    mode: ForestMode
    threshold_bits: int
    trees: tuple[Tree, ...]
    table: npt.NDArray[np.int16]  # rows by outputs
    features: int
    jump_bits: int = 0  # width of the length of a left subtree, by which a device jumps over it; 0: no jumps
    subsample: int = 0

    @property
    def outputs(self) -> int:
        """The number of sums."""
        return int(self.table.shape[1])

    @property
    def depth_unit(self) -> int:
        """What each level of depth adds to a sum."""
        return DEPTH_UNIT if self.mode is ForestMode.ISOLATION else 0


def depth_of(tree: Tree) -> int:
    """Return the depth of the deepest leaf."""
    deepest = 0
    pending: list[tuple[Tree, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        if isinstance(node, Split):
            pending += [(node.left, depth + 1), (node.right, depth + 1)]
    return deepest


def node_count(tree: Tree) -> int:
    """Return the number of nodes, leaves included."""
    count, pending = 0, [tree]
    while pending:
        node = pending.pop()
        count += 1
        if isinstance(node, Split):
            pending += [node.left, node.right]
    return count


@dataclass(frozen=True, slots=True)
class _Widths:
    feature: int
    threshold: int
    row: int
    jump: int
    flag: bool

    def leaf(self, row: int) -> int:
        return 1 + (1 + (self.row if row else 0) if self.flag else self.row)

    def split(self) -> int:
        return 1 + self.feature + self.threshold + self.jump


def _widths(forest: Forest) -> _Widths:
    rows = len(forest.table)
    feature = (forest.features - 1).bit_length()
    row = (rows - 1).bit_length()
    plain = _Widths(feature, forest.threshold_bits, row, forest.jump_bits, flag=False)
    flagged = _Widths(feature, forest.threshold_bits, row, forest.jump_bits, flag=True)
    return min(plain, flagged, key=lambda w: sum(_bits(tree, w) for tree in forest.trees))


def _bits(tree: Tree, widths: _Widths) -> int:
    total, pending = 0, [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Split):
            total += widths.split()
            pending += [node.left, node.right]
        else:
            total += widths.leaf(node.row)
    return total


def encode_forest(forest: Forest) -> bytes:
    """Write the section FOREST."""
    deepest = max(depth_of(tree) for tree in forest.trees)
    if deepest > MAX_DEPTH:
        raise DoesNotFit(f"a tree is {deepest} levels deep; packs hold {MAX_DEPTH}: lower spec.train.maxDepth")
    widths = _widths(forest)
    stream = BitWriter()
    for tree in forest.trees:
        if widths.jump:
            stream.put(_bits(tree, widths), widths.jump)
        _write_tree(tree, widths, stream)
    head = LAYOUT.pack(
        forest.mode, int(widths.flag), widths.threshold, widths.row, widths.jump, deepest, len(forest.trees),
        forest.outputs, len(forest.table), forest.depth_unit, forest.subsample, stream.length,
    )  # fmt: skip
    padded = stream.getvalue() + bytes(3)
    return head + pad4(forest.table.astype("<i2").tobytes()) + pad4(padded)


def _write_tree(tree: Tree, widths: _Widths, stream: BitWriter) -> None:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Leaf):
            stream.put(0, 1)
            if widths.flag:
                stream.put(int(node.row > 0), 1)
            if node.row or not widths.flag:
                stream.put(node.row, widths.row)
            continue
        stream.put(1, 1)
        stream.put(node.feature, widths.feature)
        stream.put(node.threshold, widths.threshold)
        if widths.jump:
            length = _bits(node.left, widths)
            if length >> widths.jump:
                raise DoesNotFit(f"a subtree of {length} bits does not fit {widths.jump} jump bits")
            stream.put(length, widths.jump)
        pending += [node.right, node.left]


def decode_forest(data: bytes, features: int) -> Forest:
    """Read the section FOREST and check it (rule 20, as far as it concerns the section alone)."""
    head = decode_forest_head(data)
    table_end = LAYOUT.size + head.table_bytes
    table = np.frombuffer(data[LAYOUT.size : table_end], "<i2").reshape(head.rows, head.outputs)
    widths = _Widths((features - 1).bit_length(), head.threshold_bits, head.row_bits, head.jump_bits, flag=head.flag)
    reader = BitReader(data[head.stream_at :], head.stream_bits)
    found = tuple(_read_tree(reader, widths, (features, head.rows, head.deepest)) for _ in range(head.trees))
    if reader.at != head.stream_bits:
        raise PackMalformed("FOREST has bits after its last tree")
    return Forest(
        head.mode, head.threshold_bits, found, table.astype(np.int16), features, head.jump_bits, head.subsample
    )


def _read_tree(reader: BitReader, widths: _Widths, limits: tuple[int, int, int]) -> Tree:
    length = reader.get(widths.jump)
    begun = reader.at
    tree = _read_node(reader, widths, limits, 0)
    if widths.jump and reader.at - begun != length:
        raise PackMalformed("FOREST has a tree whose length differs from the one it declares")
    return tree


def _read_node(reader: BitReader, widths: _Widths, limits: tuple[int, int, int], depth: int) -> Tree:
    features, rows, deepest = limits
    if depth > deepest:
        raise PackMalformed("FOREST has a leaf below the depth that it declares")
    if not reader.get(1):
        row = 0 if widths.flag and not reader.get(1) else reader.get(widths.row)
        if row >= rows:
            raise PackMalformed(f"FOREST has a leaf with row {row}, but only {rows} rows")
        return Leaf(row)
    feature, threshold = reader.get(widths.feature), reader.get(widths.threshold)
    if feature >= features:
        raise PackMalformed(f"FOREST has a node with feature {feature}, but only {features} features")
    length = reader.get(widths.jump)
    begun = reader.at
    left = _read_node(reader, widths, limits, depth + 1)
    if widths.jump and reader.at - begun != length:
        raise PackMalformed("FOREST has a jump of the wrong length")
    return Split(feature, threshold, left, _read_node(reader, widths, limits, depth + 1))
