# SPDX-License-Identifier: Apache-2.0
"""Puts a forest and its features into a pack, and turns thresholds that people write into its integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reconciler.compiler.pack.forest_section import DEPTH_UNIT, FeatureWindow, Forest, encode_features, encode_forest
from reconciler.compiler.reference.golden_vectors import with_golden
from reconciler.compiler.pack.pack_format import (
    Descriptor,
    ElementType,
    Pack,
    PackKind,
    Parameter,
    SectionId,
    encode_io,
    encode_parameters,
)

_EULER = 0.5772156649015329


def assemble_forest(
    forest: Forest,
    window: FeatureWindow,
    parameters: Sequence[Parameter],
    *,
    samples: Sequence[bytes] = (),
    scale: float = 1.0,
) -> bytes:
    """Return the pack."""
    inputs = [Descriptor(ElementType.INT16, (window.samples, window.channels), scale=scale)]
    outputs = [Descriptor(ElementType.INT32, (1 + forest.outputs,))]
    sections = {
        SectionId.IO: encode_io(inputs, outputs),
        SectionId.FOREST: encode_forest(forest),
        SectionId.FEATURES: encode_features(window),
    }
    if parameters:
        sections[SectionId.PARAMETERS] = encode_parameters(parameters)
    arena = 4 * (len(window.features) + forest.outputs)
    return with_golden(Pack(PackKind.TREE_ENSEMBLE, arena, sections), inputs, outputs, [(s,) for s in samples])


def average_path(count: int) -> float:
    """c(n): the mean depth of an unsuccessful search in a random tree of n points."""
    if count <= 1:
        return 0.0
    if count == 2:  # noqa: PLR2004 - defined so
        return 1.0
    return 2.0 * (math.log(count - 1.0) + _EULER) - 2.0 * (count - 1.0) / count


def isolation_limit(subsample: int, trees: int, score: float) -> int:
    """Return the sum below which a row is more anomalous than a score between 0 and 1."""
    return round(-math.log2(score) * average_path(subsample) * trees * DEPTH_UNIT)
