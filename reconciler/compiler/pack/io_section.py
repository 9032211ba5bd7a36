# SPDX-License-Identifier: Apache-2.0
"""The section IO: the inputs and outputs of a pack (docs/specs/pack.md section 2)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.pack_format import pad4

NO_TENSOR = 0xFFFF


_DESCRIPTOR = struct.Struct("<BBHif")


class ElementType(IntEnum):
    """The element types of inputs and outputs."""

    INT8 = 1
    INT16 = 2
    INT32 = 3

    @property
    def size(self) -> int:
        """The bytes of one element."""
        return {ElementType.INT8: 1, ElementType.INT16: 2, ElementType.INT32: 4}[self]

    @property
    def code(self) -> str:
        """The type code of numpy."""
        return {ElementType.INT8: "<i1", ElementType.INT16: "<i2", ElementType.INT32: "<i4"}[self]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An input or output."""

    type: ElementType
    shape: tuple[int, ...]
    tensor: int | None = None
    zero_point: int = 0
    scale: float = 1.0

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.elements * self.type.size


def encode_io(inputs: Sequence[Descriptor], outputs: Sequence[Descriptor]) -> bytes:
    """Write the section IO."""
    parts = [struct.pack("<BBH", len(inputs), len(outputs), 0)]
    for item in (*inputs, *outputs):
        tensor = NO_TENSOR if item.tensor is None else item.tensor
        parts.append(_DESCRIPTOR.pack(item.type, len(item.shape), tensor, item.zero_point, item.scale))
        parts.append(pad4(struct.pack(f"<{len(item.shape)}H", *item.shape)))
    return b"".join(parts)


def decode_io(data: bytes) -> tuple[list[Descriptor], list[Descriptor]]:
    """Read the section IO (rule 4, as far as it concerns the section alone)."""
    if len(data) < 4:  # noqa: PLR2004 - the counts
        raise PackMalformed("IO is truncated")
    inputs, outputs, zero = struct.unpack_from("<BBH", data)
    if not 1 <= inputs <= 4 or not 1 <= outputs <= 4 or zero:  # noqa: PLR2004 - section 2
        raise PackMalformed(f"IO declares {inputs} inputs and {outputs} outputs; each must be 1 to 4")
    items: list[Descriptor] = []
    at = 4
    for _ in range(inputs + outputs):
        item, at = _decode_descriptor(data, at)
        items.append(item)
    if at != len(data):
        raise PackMalformed("IO has bytes after its last descriptor")
    return items[:inputs], items[inputs:]


def _decode_descriptor(data: bytes, at: int) -> tuple[Descriptor, int]:
    if at + _DESCRIPTOR.size > len(data):
        raise PackMalformed("IO is truncated")
    kind, rank, tensor, zero_point, scale = _DESCRIPTOR.unpack_from(data, at)
    at += _DESCRIPTOR.size
    size = 4 * ((rank + 1) // 2)
    if kind not in tuple(ElementType) or not 1 <= rank <= 4 or at + size > len(data):  # noqa: PLR2004 - section 2
        raise PackMalformed("IO has a descriptor with an unknown type or rank")
    shape = struct.unpack_from(f"<{rank}H", data, at)
    if 0 in shape or any(data[at + 2 * rank : at + size]):
        raise PackMalformed("IO has a dimension of 0, or padding that is not zero")
    owner = None if tensor == NO_TENSOR else tensor
    return Descriptor(ElementType(kind), shape, owner, zero_point, scale), at + size
