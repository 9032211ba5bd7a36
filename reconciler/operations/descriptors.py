# SPDX-License-Identifier: Apache-2.0
"""Descriptors: what the data of a request or an answer is, their encoding, and whether one fits another."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cbor2

from reconciler.model import ItemDescriptor, ValueDescriptor, ValueElement
from reconciler.operations.limits import DIGEST_BYTES

# In the order of their numbers, from 1 (docs/specs/operations.md, section 4).
ELEMENTS = tuple(ValueElement)
ELEMENT_BYTES = dict(zip(ELEMENTS, (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1), strict=True))


@dataclass(frozen=True, slots=True)
class DataDescriptor:
    """The values that a request or an answer carries."""

    values: tuple[ValueDescriptor, ...] = ()
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first field in which a request is not what an operation takes."""

    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}"


def value_of(item: ItemDescriptor, name: str) -> ValueDescriptor:
    """Return an item of a bucket as an input or output with this name."""
    return ValueDescriptor(
        name=name,
        dtype=item.dtype,
        shape=item.shape,
        usage=item.usage,
        unit=item.unit,
        quantization=item.quantization,
    )


def as_array(descriptor: DataDescriptor) -> list[object]:
    """Return what is encoded."""
    return [descriptor.task, [_value_array(value) for value in descriptor.values]]


def digest(descriptor: DataDescriptor) -> bytes:
    """Return the short name of a descriptor."""
    encoded = cbor2.dumps(as_array(descriptor), canonical=True)
    return hashlib.sha256(encoded).digest()[:DIGEST_BYTES]


def mismatch(offered: DataDescriptor, taken: DataDescriptor, size: int) -> Mismatch | None:
    """Return the first field in which data of this size and descriptor is not what an operation takes."""
    return next(_mismatches(offered, taken, size), None)


def size_mismatch(descriptor: DataDescriptor, size: int) -> Mismatch | None:
    """Return what is wrong with the size of data, if anything. One dimension of any size follows from the length."""
    fixed, unit, unknown = 0, 0, 0
    for value in descriptor.values:
        per_item = ELEMENT_BYTES[value.dtype] * math.prod(each for each in value.shape if each is not None)
        free = sum(each is None for each in value.shape)
        unknown += free
        if free:
            unit = per_item
        else:
            fixed += per_item
    if unknown > 1:
        return Mismatch("shape", "at most one dimension of any size", str(unknown))
    if not unknown:
        return Mismatch("bytes", str(fixed), str(size)) if size != fixed else None
    rest = size - fixed
    if rest < 0 or (rest % unit if unit else rest):
        return Mismatch("bytes", f"{fixed} and a multiple of {unit}", str(size))
    return None


def _mismatches(offered: DataDescriptor, taken: DataDescriptor, size: int) -> Iterator[Mismatch]:
    if taken.task is not None and offered.task != taken.task:
        yield Mismatch("task", taken.task, _text(offered.task))
    if len(offered.values) != len(taken.values):
        yield Mismatch("inputs", f"{len(taken.values)} values", str(len(offered.values)))
        return
    for place, (mine, theirs) in enumerate(zip(offered.values, taken.values, strict=True)):
        for found in _of_value(mine, theirs):
            yield Mismatch(f"inputs[{place}].{found.field}", found.expected, found.got)
    wrong = size_mismatch(offered, size)
    if wrong is not None:
        yield wrong


def _of_value(mine: ValueDescriptor, theirs: ValueDescriptor) -> Iterator[Mismatch]:
    if mine.dtype is not theirs.dtype:
        yield Mismatch("dtype", theirs.dtype.value, mine.dtype.value)
    if len(mine.shape) != len(theirs.shape):
        yield Mismatch("rank", str(len(theirs.shape)), str(len(mine.shape)))
        return
    for place, (here, there) in enumerate(zip(mine.shape, theirs.shape, strict=True)):
        if there is not None and here != there:
            yield Mismatch(f"shape[{place}]", str(there), "any size" if here is None else str(here))
    if theirs.usage is not None and mine.usage is not theirs.usage:
        yield Mismatch("usage", theirs.usage.value, _text(mine.usage))
    if theirs.unit is not None and mine.unit != theirs.unit:
        yield Mismatch("unit", theirs.unit, _text(mine.unit))
    if theirs.quantization is not None and mine.quantization != theirs.quantization:
        yield Mismatch("quantization", str(theirs.quantization), _text(mine.quantization))


def _value_array(value: ValueDescriptor) -> list[object]:
    how = value.quantization
    return [
        value.name,
        ELEMENTS.index(value.dtype) + 1,
        list(value.shape),
        value.usage.value if value.usage is not None else None,
        value.unit,
        [float(how.scale), how.zero_point] if how is not None else None,
    ]


def _text(value: object) -> str:
    return "none" if value is None else str(value)
