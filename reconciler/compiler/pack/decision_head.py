# SPDX-License-Identifier: Apache-2.0
"""The section HEAD: how the tensors of a network become one decision and one score."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.fixed_point import Ints, multiply_by_quantized_multiplier
from reconciler.compiler.pack.plan_section import TensorRecord

_HEAD = struct.Struct("<BBHHHib3x")
NO_PARAMETER = 0xFF


class DecisionMode(IntEnum):
    """How a network decides."""

    LARGEST = 1
    RECONSTRUCTION = 2
    THRESHOLD = 3


@dataclass(frozen=True, slots=True)
class DecisionHead:
    """The contents of the section HEAD."""

    mode: DecisionMode
    parameter: int | None
    first: int
    second: int = 0
    multiplier: int = 0
    shift: int = 0


class Tensors(Protocol):
    """The tensors of a network, as the head reads them."""

    @property
    def tensors(self) -> Sequence[TensorRecord]:
        """All records."""

    def get(self, index: int) -> Ints:
        """Read a tensor."""


def encode_head(head: DecisionHead) -> bytes:
    """Write the section."""
    parameter = NO_PARAMETER if head.parameter is None else head.parameter
    return _HEAD.pack(head.mode, parameter, head.first, head.second, 0, head.multiplier, head.shift)


def decode_head(data: bytes) -> DecisionHead:
    """Read the section (rule 17, as far as it concerns the section alone)."""
    if len(data) != _HEAD.size:
        raise PackMalformed(f"HEAD has {len(data)} bytes, not {_HEAD.size}")
    mode, parameter, first, second, zero, multiplier, shift = _HEAD.unpack(data)
    if mode not in tuple(DecisionMode) or zero or any(data[13:]):
        raise PackMalformed("HEAD has an unknown mode, or padding that is not zero")
    known = DecisionHead(
        DecisionMode(mode), None if parameter == NO_PARAMETER else parameter, first, second, multiplier, shift
    )
    if known.mode is not DecisionMode.RECONSTRUCTION and (second or multiplier or shift):
        raise PackMalformed("HEAD has a second tensor, which its mode does not use")
    if known.mode is not DecisionMode.LARGEST and known.parameter is None:
        raise PackMalformed("HEAD needs a parameter")
    return known


def decide(head: DecisionHead, machine: Tensors, values: Sequence[int]) -> tuple[int, int]:
    """Return the decision and the score."""
    a = machine.get(head.first).reshape(-1)
    limit = None if head.parameter is None else values[head.parameter]
    if head.mode is DecisionMode.LARGEST:
        score = int(a.max())
        return (-1 if limit is not None and score < limit else int(a.argmax())), score
    if head.mode is DecisionMode.RECONSTRUCTION:
        zero_a, zero_b = (machine.tensors[i].zero_point for i in (head.first, head.second))
        b = machine.get(head.second).reshape(-1)
        expected = np.clip(
            zero_a + multiply_by_quantized_multiplier(b - zero_b, head.multiplier, head.shift), -128, 127
        )
        score = int(((a - expected) ** 2).sum())
    else:
        score = int(a[0])
    return int(limit is not None and score > limit), score
