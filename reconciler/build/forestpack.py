# SPDX-License-Identifier: Apache-2.0
"""Puts a forest and its features into a pack, and turns thresholds that people write into its integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reconciler.build.container import (
    Descriptor,
    ElementType,
    Encoding,
    Kind,
    Pack,
    Parameter,
    SectionId,
    decode_parameters,
    disassemble,
    encode_io,
    encode_parameters,
)
from reconciler.build.errors import BuildFailed
from reconciler.build.forestformat import (
    DEPTH_UNIT,
    Forest,
    Window,
    decode_features,
    decode_forest,
    encode_features,
    encode_forest,
)
from reconciler.build.golden import with_golden

_EULER = 0.5772156649015329


def assemble_forest(
    forest: Forest, window: Window, parameters: Sequence[Parameter], samples: Sequence[bytes] = ()
) -> bytes:
    """Return the pack."""
    inputs = [Descriptor(ElementType.INT16, (window.samples, window.channels))]
    outputs = [Descriptor(ElementType.INT32, (1 + forest.outputs,))]
    sections = {
        SectionId.IO: encode_io(inputs, outputs),
        SectionId.FOREST: encode_forest(forest),
        SectionId.FEATURES: encode_features(window),
    }
    if parameters:
        sections[SectionId.PARAMETERS] = encode_parameters(parameters)
    arena = 4 * (len(window.features) + forest.outputs)
    return with_golden(Pack(Kind.TREE_ENSEMBLE, arena, sections), inputs, outputs, [(s,) for s in samples])


def average_path(count: int) -> float:
    """c(n): the mean depth of an unsuccessful search in a random tree of n points."""
    if count <= 1:
        return 0.0
    if count == 2:  # noqa: PLR2004 - defined so
        return 1.0
    return 2.0 * (math.log(count - 1.0) + _EULER) - 2.0 * (count - 1.0) / count


def parameter_value(data: bytes, index: int, value: float) -> int:
    """Turn a number that people write into the integer that the device compares with."""
    pack = disassemble(data)
    entry = decode_parameters(pack.section(SectionId.PARAMETERS))[index]
    if entry.encoding is Encoding.ISOLATION_SCORE:
        if not 0.0 < value <= 1.0:
            raise BuildFailed(f"an isolation score lies above 0 and at most at 1, {value} does not")
        features = len(decode_features(pack.section(SectionId.FEATURES)).features)
        forest = decode_forest(pack.section(SectionId.FOREST), features)
        exact = -math.log2(value) * average_path(forest.subsample) * len(forest.trees) * DEPTH_UNIT
        number = round(exact)
    else:
        number = round(value * 2.0**entry.fraction_bits)
    if not entry.least <= number <= entry.most:
        raise BuildFailed(f"{value} is out of the parameter's range")
    return number
