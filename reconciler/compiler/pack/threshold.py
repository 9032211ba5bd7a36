# SPDX-License-Identifier: Apache-2.0
"""Kind 0: a weighted sum against a threshold, the smallest model there is."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.pack_format import (
    Descriptor,
    ElementType,
    Golden,
    Pack,
    PackKind,
    Parameter,
    SectionId,
    assemble,
    encode_golden,
    encode_io,
    encode_parameters,
    name_hash,
)

_HEAD = struct.Struct("<HBBi")
_MOST_INPUTS = 4096
_MOST_SHIFT = 15


def run_threshold(section: bytes, x: npt.NDArray[np.int64], values: Sequence[int]) -> tuple[list[int], int]:
    """Return [decision, score], and the score again."""
    count, index, shift, bias = _HEAD.unpack_from(section)
    weights = np.frombuffer(section[_HEAD.size : _HEAD.size + count], np.int8).astype(np.int64)
    score = (bias + int(weights @ x)) >> shift
    return [int(score > values[index]), score], score


def check_threshold(section: bytes, source: Descriptor, parameters: int) -> None:
    """Refuse a section that could overflow or read outside (rule 21)."""
    if len(section) < _HEAD.size:
        raise PackMalformed("THRESHOLD is cut short")
    count, index, shift, bias = _HEAD.unpack_from(section)
    weights = np.frombuffer(section[_HEAD.size :], np.int8).astype(np.int64)
    if not 1 <= count <= _MOST_INPUTS or count != len(weights) or count != source.elements:
        raise PackMalformed("THRESHOLD has not as many weights as the input has elements")
    reach = 15 if source.type is ElementType.INT16 else 7
    if (int(np.abs(weights).sum()) << reach) + abs(bias) >= 1 << 31:
        raise PackMalformed("THRESHOLD could overflow")
    if shift > _MOST_SHIFT or index >= parameters:
        raise PackMalformed("THRESHOLD has a shift or a parameter out of range")


def build_threshold_pack(  # noqa: PLR0913 - the six numbers that such a model is
    weights: Sequence[int],
    *,
    threshold: int,
    bias: int = 0,
    shift: int = 0,
    element: ElementType = ElementType.INT16,
    inputs: Sequence[Sequence[int]] = (),
) -> bytes:
    """Write a pack of kind 0 with a parameter `threshold` and golden vectors for the inputs."""
    reach = 15 if element is ElementType.INT16 else 7
    largest = sum(abs(w) for w in weights) << reach
    if not 1 <= len(weights) <= _MOST_INPUTS or not 0 <= shift <= _MOST_SHIFT or largest + abs(bias) >= 1 << 31:
        raise DoesNotFit("the weights, the shift or the bias are out of range")
    reaches = {-(1 << 31) <= threshold < 1 << 31, *(-(1 << reach) <= v < 1 << reach for x in inputs for v in x)}
    if not all(reaches):
        raise DoesNotFit(f"the threshold must fit 32 bits, and a golden input's values {element.name.lower()}")
    section = _HEAD.pack(len(weights), 0, shift, bias) + np.array(weights, np.int8).tobytes()
    golden = []
    for x in inputs or ([0] * len(weights),):
        numbers, _ = run_threshold(section, np.array(x, np.int64), [threshold])
        golden.append(Golden((np.array(numbers, "<i4").tobytes(),), (np.array(x, element.code).tobytes(),)))
    sections = {
        SectionId.IO: encode_io([Descriptor(element, (len(weights),))], [Descriptor(ElementType.INT32, (2,))]),
        SectionId.PARAMETERS: encode_parameters(
            [Parameter(name_hash("threshold"), threshold, -(1 << 31), (1 << 31) - 1)]
        ),
        SectionId.GOLDEN: encode_golden(golden),
        SectionId.THRESHOLD: section,
    }
    return assemble(Pack(PackKind.THRESHOLD, 0, sections))
