# SPDX-License-Identifier: Apache-2.0
"""The sections TENSORS and PLAN (docs/specs/pack.md sections 6.1 and 6.2)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.operators import (
    OPERATORS,
    WIDE_FORMS,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Operator,
    SequenceLstm,
    Svdf,
)

_COMMON = struct.Struct("<BBHHbb")
_TENSOR = struct.Struct("<I4HbBH")


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor: its offset in the arena or the weights, its dimensions, and its zero point."""

    offset: int
    dims: tuple[int, int, int, int]
    zero_point: int = 0
    constant: bool = False

    @property
    def elements(self) -> int:
        """The number of elements, which is also the number of bytes."""
        return math.prod(self.dims)


def macs_of(op: Operator, tensors: Sequence[TensorRecord]) -> int:
    """Return the multiply-accumulate operations of one operator."""
    x, y = tensors[op.input], tensors[op.output]
    if isinstance(op, Conv2D):
        return y.elements * op.kernel_h * op.kernel_w * x.dims[3] // op.groups
    if isinstance(op, DepthwiseConv2D):
        return y.elements * op.kernel_h * op.kernel_w
    if isinstance(op, FullyConnected):
        return y.elements * x.dims[3]
    if isinstance(op, Svdf):
        return y.elements * op.rank * (x.dims[3] + op.memory_size)
    if isinstance(op, SequenceLstm):
        return 4 * y.elements * (x.dims[3] + y.dims[3])
    return 0


def encode_tensors(records: Sequence[TensorRecord]) -> bytes:
    """Write the section TENSORS."""
    return b"".join(_TENSOR.pack(r.offset, *r.dims, r.zero_point, int(r.constant), 0) for r in records)


def decode_tensors(data: bytes) -> list[TensorRecord]:
    """Read the section TENSORS, with the checks that concern the section alone."""
    if not data or len(data) % _TENSOR.size:
        raise PackMalformed("TENSORS is not a whole number of records")
    records = []
    for offset, n, h, w, c, zero_point, flags, zero in _TENSOR.iter_unpack(data):
        if flags > 1 or zero:
            raise PackMalformed("TENSORS has an unknown flag")
        records.append(TensorRecord(offset, (n, h, w, c), zero_point, bool(flags)))
    return records


def encode_plan(operators: Sequence[Operator]) -> bytes:
    """Write the section PLAN."""
    parts = []
    for operator in operators:
        common, fields = astuple(operator)[:4], astuple(operator)[4:]
        try:
            body = struct.pack("<" + operator.LAYOUT, *fields)
            words = (_COMMON.size + len(body)) // 4
            parts.append(_COMMON.pack(operator.NUMBER, words, *common) + body)
        except struct.error as error:
            raise DoesNotFit(f"{operator.NAME}: a field does not fit its record: {error}, {fields}") from error
    return b"".join(parts)


def decode_plan(data: bytes) -> list[Operator]:
    """Read the section PLAN (rule 6, as far as it concerns the section alone)."""
    operators: list[Operator] = []
    at = 0
    while at < len(data):
        if at + _COMMON.size > len(data):
            raise PackMalformed("PLAN is truncated")
        number, words, source, output, low, high = _COMMON.unpack_from(data, at)
        kind = OPERATORS.get(number)
        if kind is None:
            raise PackMalformed(f"unknown operator number {number}")
        layout = struct.Struct("<" + kind.LAYOUT)
        if 4 * words != _COMMON.size + layout.size and number in WIDE_FORMS:
            kind = WIDE_FORMS[number]
            layout = struct.Struct("<" + kind.LAYOUT)
        if 4 * words != _COMMON.size + layout.size or at + 4 * words > len(data):
            raise PackMalformed(f"{kind.NAME} has a record of {words} words")
        fields = layout.unpack_from(data, at + _COMMON.size)
        operator = kind(source, output, low, high, *fields)
        if encode_plan([operator]) != data[at : at + 4 * words]:
            raise PackMalformed(f"{kind.NAME} has padding that is not zero")
        operators.append(operator)
        at += 4 * words
    return operators
