# SPDX-License-Identifier: Apache-2.0
"""The section THRESHOLD: a weighted sum that is compared with one parameter (docs/specs/pack.md section 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.io_section import Descriptor, ElementType

MAX_INPUTS = 4096
MAX_SHIFT = 15
_HEAD = struct.Struct("<HBBi")


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """The model of the section: (bias + weights · x) >> shift, compared with the parameter of this index."""

    weights: npt.NDArray[np.int64]
    bias: int = 0
    shift: int = 0
    parameter: int = 0

    def overflows(self, element: ElementType) -> bool:
        """Whether some input of this type makes a sum that 32 bits cannot hold."""
        return (int(np.abs(self.weights).sum()) << input_bits(element)) + abs(self.bias) >= 1 << 31


def input_bits(element: ElementType) -> int:
    """Return the number of bits of an input's magnitude."""
    return 15 if element is ElementType.INT16 else 7


def encode_threshold(model: WeightedSum) -> bytes:
    """Write the section THRESHOLD."""
    head = _HEAD.pack(len(model.weights), model.parameter, model.shift, model.bias)
    return head + model.weights.astype(np.int8).tobytes()


def decode_threshold(data: bytes) -> WeightedSum:
    """Read the section THRESHOLD (rule 21, as far as it concerns the section alone)."""
    if len(data) < _HEAD.size:
        raise PackMalformed("THRESHOLD is truncated")
    count, parameter, shift, bias = _HEAD.unpack_from(data)
    weights = np.frombuffer(data[_HEAD.size :], np.int8).astype(np.int64)
    if not 1 <= count <= MAX_INPUTS or count != len(weights):
        raise PackMalformed(f"THRESHOLD declares {count} weights and has {len(weights)}")
    return WeightedSum(weights, bias, shift, parameter)


def check_threshold(data: bytes, source: Descriptor, parameters: int) -> None:
    """Refuse a section that could overflow or read out of bounds (rule 21)."""
    model = decode_threshold(data)
    if len(model.weights) != source.elements:
        raise PackMalformed(f"THRESHOLD has {len(model.weights)} weights for an input of {source.elements} elements")
    if model.overflows(source.type):
        raise PackMalformed("THRESHOLD could overflow 32 bits")
    if model.shift > MAX_SHIFT or model.parameter >= parameters:
        raise PackMalformed("THRESHOLD has a shift or a parameter index out of range")
