# SPDX-License-Identifier: Apache-2.0
"""Evaluates a tree ensemble on many samples at once, in exactly the integers of a device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic, decode_features
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Tree, decode_forest
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters
from reconciler.compiler.pool.messages import ABSTAINED, SampleRows
from reconciler.compiler.reference.forest import raw_features
from reconciler.model.contests import THRESHOLD

Ints = npt.NDArray[np.int64]
Votes = npt.NDArray[np.int8]
_INT32 = (-(1 << 31), (1 << 31) - 1)
_INT16_TYPE = 2


class ForestEvaluation:
    """A pack of kind 2."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        pack = disassemble(data)
        self._window: FeatureWindow = decode_features(pack.section(SectionId.FEATURES))
        self._forest: Forest = decode_forest(pack.section(SectionId.FOREST), len(self._window.features))
        self._parameters = decode_parameters(pack.section(SectionId.PARAMETERS))
        self._trees = [_FlatTree(tree) for tree in self._forest.trees]

    def vote(self, rows: SampleRows, thresholds: Sequence[float | None]) -> Votes:
        """Return a row of votes for each threshold; None is the pack's own."""
        raw = self._raw(rows)
        if raw is None:
            return np.full((len(thresholds), rows.count), ABSTAINED, np.int8)
        sums = self.sums(raw)
        if self._forest.mode is ForestMode.CLASSIFICATION:
            return np.tile((sums.argmax(axis=1) != 0).astype(np.int8), (len(thresholds), 1))
        below = self._forest.mode is ForestMode.ISOLATION
        limits = [self._limit(threshold) for threshold in thresholds]
        if not below and not self._parameters:
            return np.zeros((len(thresholds), rows.count), np.int8)
        first = sums[:, 0]
        return np.array([first < limit if below else first > limit for limit in limits], np.int8)

    def sums(self, raw: Ints) -> Ints:
        """Return the sums over all trees for raw features [rows, features]."""
        bits = self._forest.threshold_bits
        y = np.stack([_scaled(feature, raw[:, i], bits) for i, feature in enumerate(self._window.features)], axis=1)
        table = self._forest.table.astype(np.int64)
        total = np.zeros((len(raw), self._forest.outputs), np.int64)
        for tree in self._trees:
            leaf, depth = tree.walk(y)
            total += table[leaf] + (depth * self._forest.depth_unit)[:, None]
        return total

    def _limit(self, threshold: float | None) -> int:
        if not self._parameters:
            return 0
        if threshold is None:
            return self._parameters[0].default
        return encode_values(self._data, {THRESHOLD: threshold})[0]

    def _raw(self, rows: SampleRows) -> Ints | None:
        """Return the raw features that the trees need; None: the samples lack them."""
        layout = rows.layout
        if (layout.samples, layout.channels) == (self._window.samples, self._window.channels):
            wanted = [(int(feature.statistic), feature.channel) for feature in self._window.features]
            if set(wanted) <= set(layout.statistics):
                given = np.frombuffer(rows.features, "<i4").reshape(rows.count, -1).astype(np.int64)
                return given[:, [layout.statistics.index(each) for each in wanted]]
        elements = self._window.samples * self._window.channels
        if layout.element_type != _INT16_TYPE or len(rows.windows) != 2 * elements * rows.count:
            return None
        every = all_features(rows.windows, self._window.samples, self._window.channels)
        columns = [feature.channel * len(Statistic) + feature.statistic for feature in self._window.features]
        return every[:, columns]


@lru_cache(maxsize=2)  # the models of a pool vote on the same windows, one after the other
def all_features(windows: bytes, samples: int, channels: int) -> Ints:
    """Return every statistic of every channel in its raw unit, for each window."""
    shaped = np.frombuffer(windows, "<i2").reshape(-1, samples, channels)
    out = np.empty((len(shaped), channels * len(Statistic)), np.int64)
    for row, window in zip(out, shaped, strict=True):
        for channel in range(channels):
            of = raw_features(window[:, channel].tolist())
            row[channel * len(Statistic) : (channel + 1) * len(Statistic)] = [of[each] for each in Statistic]
    return out


class _FlatTree:
    """A tree as arrays, to walk many rows at once."""

    def __init__(self, tree: Tree) -> None:
        nodes: list[Tree] = [tree]
        links: list[tuple[int, int]] = []
        for node in nodes:  # grows while it is read
            if isinstance(node, Leaf):
                links.append((-1, -1))
            else:
                links.append((len(nodes), len(nodes) + 1))
                nodes += [node.left, node.right]
        self._children = np.array(links, np.int64)
        self._feature = np.array([0 if isinstance(node, Leaf) else node.feature for node in nodes], np.int64)
        self._threshold = np.array([0 if isinstance(node, Leaf) else node.threshold for node in nodes], np.int64)
        self._row = np.array([node.row if isinstance(node, Leaf) else 0 for node in nodes], np.int64)

    def walk(self, y: Ints) -> tuple[Ints, Ints]:
        """Return the row of the table and the depth of the leaf that each row of inputs reaches."""
        at = np.zeros(len(y), np.int64)
        depth = np.zeros(len(y), np.int64)
        inner = np.flatnonzero(self._children[at, 0] >= 0)
        while inner.size:
            node = at[inner]
            right = y[inner, self._feature[node]] > self._threshold[node]
            at[inner] = self._children[node, right.astype(np.int64)]
            depth[inner] += 1
            inner = inner[self._children[at[inner], 0] >= 0]
        return self._row[at], depth


def _scaled(feature: Feature, raw: Ints, bits: int) -> Ints:
    difference = np.clip(raw - feature.offset, *_INT32)
    if not _INT32[0] <= feature.multiplier <= _INT32[1]:
        raise BuildFailed("a feature's multiplier does not fit 32 bits")
    scaled = (difference * feature.multiplier + ((1 << feature.shift) >> 1)) >> feature.shift
    return np.asarray(np.clip(scaled, 0, (1 << bits) - 1), np.int64)
