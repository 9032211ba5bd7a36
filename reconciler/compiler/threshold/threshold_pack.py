# SPDX-License-Identifier: Apache-2.0
"""Builds packs of kind 0: a weighted sum against a threshold, the smallest model there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reconciler.compiler.errors import DoesNotFit
from reconciler.compiler.pack.golden_section import GoldenVector, encode_golden
from reconciler.compiler.pack.io_section import Descriptor, ElementType, encode_io
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble
from reconciler.compiler.pack.tunable_parameters_section import Parameter, encode_parameters, name_hash
from reconciler.compiler.pack.weighted_sum_section import (
    MAX_INPUTS,
    MAX_SHIFT,
    WeightedSum,
    encode_threshold,
    input_bits,
)
from reconciler.compiler.reference.threshold import run_threshold

_INT32 = (-(1 << 31), (1 << 31) - 1)


def build_threshold_pack(  # noqa: PLR0913 - the six numbers that define such a model
    weights: Sequence[int],
    *,
    threshold: int,
    bias: int = 0,
    shift: int = 0,
    element: ElementType = ElementType.INT16,
    inputs: Sequence[Sequence[int]] = (),
) -> bytes:
    """Return a pack with the parameter `threshold` and a golden vector for each of the inputs."""
    model = WeightedSum(np.array(weights, np.int64), bias, shift)
    if any(not -128 <= weight <= 127 for weight in weights):  # noqa: PLR2004 - int8
        raise DoesNotFit("the weights of a threshold model are int8")
    if not 1 <= len(weights) <= MAX_INPUTS or not 0 <= shift <= MAX_SHIFT or model.overflows(element):
        raise DoesNotFit("the weights, the shift or the bias of the threshold model are out of range")
    reach = 1 << input_bits(element)
    if not _INT32[0] <= threshold <= _INT32[1] or not all(-reach <= value < reach for x in inputs for value in x):
        raise DoesNotFit(f"the threshold must fit 32 bits, and a golden input's values {element.name.lower()}")
    section = encode_threshold(model)
    golden = []
    for x in inputs or ([0] * len(weights),):
        numbers, _ = run_threshold(section, np.array(x, np.int64), [threshold])
        golden.append(GoldenVector((np.array(numbers, "<i4").tobytes(),), (np.array(x, element.code).tobytes(),)))
    sections = {
        SectionId.IO: encode_io([Descriptor(element, (len(weights),))], [Descriptor(ElementType.INT32, (2,))]),
        SectionId.PARAMETERS: encode_parameters([Parameter(name_hash("threshold"), threshold, *_INT32)]),
        SectionId.GOLDEN: encode_golden(golden),
        SectionId.THRESHOLD: section,
    }
    return assemble(Pack(PackKind.THRESHOLD, 0, sections))
