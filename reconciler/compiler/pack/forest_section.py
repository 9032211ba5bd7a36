# SPDX-License-Identifier: Apache-2.0
"""The sections FOREST and FEATURES (docs/specs/pack.md section 7), written and read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.bitstream import BitReader, BitWriter
from reconciler.compiler.pack.pack_format import pad4

DEPTH_UNIT = 2048
DEEPEST = 63
_FOREST = struct.Struct("<6B5HI")
_FEATURES = struct.Struct("<HBB")
_FEATURE = struct.Struct("<BBBBii")


class ForestMode(IntEnum):
    """What the trees are summed up to."""

    ISOLATION = 0
    CLASSIFICATION = 1
    REGRESSION = 2


class Statistic(IntEnum):
    """A feature of one channel of the window."""

    VALUE = 0
    MEAN = 1
    VARIANCE = 2
    STD = 3
    RMS = 4
    SKEWNESS = 5
    KURTOSIS = 6
    PEAK = 7
    CREST = 8
    ZERO_CROSSINGS = 9
    MIN = 10
    MAX = 11


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a tree ends: a row of the leaf table."""

    row: int


@dataclass(frozen=True, slots=True)
class Split:
    """Go left if the feature is not above the threshold."""

    feature: int
    threshold: int
    left: Tree
    right: Tree


Tree = Leaf | Split


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the trees: a statistic, brought to the range of the thresholds."""

    statistic: Statistic
    channel: int
    shift: int
    offset: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class FeatureWindow:
    """The samples that one decision is made of."""

    samples: int
    channels: int
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """The trees with all that is needed to walk them."""

    mode: ForestMode
    threshold_bits: int
    trees: tuple[Tree, ...]
    table: npt.NDArray[np.int16]  # rows by outputs
    features: int
    jump_bits: int = 0
    subsample: int = 0

    @property
    def outputs(self) -> int:
        """How many sums there are."""
        return int(self.table.shape[1])

    @property
    def depth_unit(self) -> int:
        """What one level of depth adds."""
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
    if deepest > DEEPEST:
        raise DoesNotFit(f"a tree is {deepest} levels deep; packs hold {DEEPEST}: set max_depth in the recipe")
    widths = _widths(forest)
    stream = BitWriter()
    for tree in forest.trees:
        if widths.jump:
            stream.put(_bits(tree, widths), widths.jump)
        _write_tree(tree, widths, stream)
    head = _FOREST.pack(
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
                raise DoesNotFit(f"a subtree of {length} bits needs more than {widths.jump} jump bits")
            stream.put(length, widths.jump)
        pending += [node.right, node.left]


def decode_forest(data: bytes, features: int) -> Forest:
    """Read the section FOREST and check it (rule 20, as far as it concerns the section alone)."""
    if len(data) < _FOREST.size:
        raise PackMalformed("FOREST is cut short")
    mode, flags, tb, lb, jb, deepest, trees, outputs, rows, unit, subsample, bits = _FOREST.unpack_from(data)
    valid = mode in tuple(ForestMode) and flags <= 1 and 4 <= tb <= 16 and lb <= 16 and (jb == 0 or 8 <= jb <= 24)  # noqa: PLR2004
    valid &= deepest <= DEEPEST and 1 <= trees <= 1024 and 1 <= outputs <= 64 and rows >= 1  # noqa: PLR2004
    if not valid or (mode != ForestMode.CLASSIFICATION and outputs != 1):
        raise PackMalformed("FOREST has a field out of range")
    if unit != (DEPTH_UNIT if mode == ForestMode.ISOLATION else 0) or (mode != ForestMode.ISOLATION and subsample):
        raise PackMalformed("FOREST has a depth unit or a subsample size that its mode has not")
    table_bytes = 2 * rows * outputs
    start = _FOREST.size + table_bytes + (-table_bytes % 4)
    stream_bytes = (bits + 7) // 8 + 3
    if len(data) != start + stream_bytes + (-stream_bytes % 4):
        raise PackMalformed("FOREST has not the length that its fields need")
    table = np.frombuffer(data[_FOREST.size : _FOREST.size + table_bytes], "<i2").reshape(rows, outputs)
    widths = _Widths((features - 1).bit_length(), tb, lb, jb, flag=bool(flags))
    reader = BitReader(data[start:], bits)
    found = tuple(_read_tree(reader, widths, (features, rows, deepest)) for _ in range(trees))
    if reader.at != bits:
        raise PackMalformed("FOREST has bits left over after its last tree")
    return Forest(ForestMode(mode), tb, found, table.astype(np.int16), features, jb, subsample)


def _read_tree(reader: BitReader, widths: _Widths, limits: tuple[int, int, int]) -> Tree:
    length = reader.get(widths.jump)
    begun = reader.at
    tree = _read_node(reader, widths, limits, 0)
    if widths.jump and reader.at - begun != length:
        raise PackMalformed("FOREST has a tree of another length than it says")
    return tree


def _read_node(reader: BitReader, widths: _Widths, limits: tuple[int, int, int], depth: int) -> Tree:
    features, rows, deepest = limits
    if depth > deepest:
        raise PackMalformed("FOREST has a leaf deeper than it says")
    if not reader.get(1):
        row = 0 if widths.flag and not reader.get(1) else reader.get(widths.row)
        if row >= rows:
            raise PackMalformed(f"FOREST has a leaf with row {row} of {rows}")
        return Leaf(row)
    feature, threshold = reader.get(widths.feature), reader.get(widths.threshold)
    if feature >= features:
        raise PackMalformed(f"FOREST asks for feature {feature} of {features}")
    length = reader.get(widths.jump)
    begun = reader.at
    left = _read_node(reader, widths, limits, depth + 1)
    if widths.jump and reader.at - begun != length:
        raise PackMalformed("FOREST has a jump of the wrong length")
    return Split(feature, threshold, left, _read_node(reader, widths, limits, depth + 1))


def encode_features(window: FeatureWindow) -> bytes:
    """Write the section FEATURES."""
    head = _FEATURES.pack(window.samples, window.channels, len(window.features))
    return head + b"".join(
        _FEATURE.pack(f.statistic, f.channel, f.shift, 0, f.offset, f.multiplier) for f in window.features
    )


def decode_features(data: bytes) -> FeatureWindow:
    """Read the section FEATURES (rule 19)."""
    if len(data) < _FEATURES.size:
        raise PackMalformed("FEATURES is cut short")
    samples, channels, count = _FEATURES.unpack_from(data)
    if not (1 <= samples <= 4096 and 1 <= channels <= 16 and 1 <= count <= 32):  # noqa: PLR2004 - section 7.1
        raise PackMalformed("FEATURES has a count out of range")
    if len(data) != _FEATURES.size + count * _FEATURE.size:
        raise PackMalformed("FEATURES has not the length that its count needs")
    return FeatureWindow(samples, channels, _feature_records(data[_FEATURES.size :], channels))


def _feature_records(data: bytes, channels: int) -> tuple[Feature, ...]:
    found: Sequence[Feature] = []
    for statistic, channel, shift, zero, offset, multiplier in _FEATURE.iter_unpack(data):
        if statistic not in tuple(Statistic) or channel >= channels or shift > 62 or zero or multiplier < 0:  # noqa: PLR2004
            raise PackMalformed("FEATURES has a record out of range")
        found = [*found, Feature(Statistic(statistic), channel, shift, offset, multiplier)]
    return tuple(found)
