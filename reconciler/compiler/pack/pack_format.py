# SPDX-License-Identifier: Apache-2.0
"""The container of a pack: its header, its section table, and the sections IO, PARAMETERS and GOLDEN.

docs/specs/pack.md sections 1 to 4 define every bit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import DoesNotFit, PackMalformed

MAGIC = b"TFPK"
FORMAT_VERSION = 1
NO_TENSOR = 0xFFFF
MAX_SECTION_BYTES = (1 << 24) - 1
MAX_PARAMETERS = 16
MAX_GOLDEN_VECTORS = 64

_HEADER = struct.Struct("<4sBBBBII")
_DESCRIPTOR = struct.Struct("<BBHif")
_PARAMETER = struct.Struct("<IiiiBBH")


class PackKind(IntEnum):
    """The kind of model in a pack."""

    THRESHOLD = 0
    NEURAL_NETWORK = 1
    TREE_ENSEMBLE = 2


class SectionId(IntEnum):
    """The sections, in the order of a pack."""

    IO = 1
    TENSORS = 2
    PLAN = 3
    WEIGHTS = 4
    FOREST = 5
    FEATURES = 6
    PARAMETERS = 7
    GOLDEN = 8
    HEAD = 9
    THRESHOLD = 10


_S = SectionId
REQUIRED: Mapping[PackKind, frozenset[SectionId]] = {
    PackKind.THRESHOLD: frozenset({_S.IO, _S.GOLDEN, _S.THRESHOLD}),
    PackKind.NEURAL_NETWORK: frozenset({_S.IO, _S.TENSORS, _S.PLAN, _S.WEIGHTS, _S.GOLDEN}),
    PackKind.TREE_ENSEMBLE: frozenset({_S.IO, _S.FOREST, _S.FEATURES, _S.GOLDEN}),
}
ALLOWED: Mapping[PackKind, frozenset[SectionId]] = {
    PackKind.THRESHOLD: REQUIRED[PackKind.THRESHOLD] | {_S.PARAMETERS},
    PackKind.NEURAL_NETWORK: REQUIRED[PackKind.NEURAL_NETWORK] | {_S.PARAMETERS, _S.HEAD},
    PackKind.TREE_ENSEMBLE: REQUIRED[PackKind.TREE_ENSEMBLE] | {_S.PARAMETERS},
}


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


class ParameterEncoding(IntEnum):
    """How a gateway converts the value in a document into the integer of a parameter."""

    LINEAR = 0
    ISOLATION_SCORE = 1
    RECONSTRUCTION_ERROR = 2
    OUTPUT_VALUE = 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that an envelope can change without a new pack."""

    name_hash: int
    default: int
    minimum: int
    maximum: int
    encoding: ParameterEncoding = ParameterEncoding.LINEAR
    fraction_bits: int = 0


@dataclass(frozen=True, slots=True)
class Golden:
    """An input with its exact output. With seed 0 the inputs are stored, otherwise they are generated from it."""

    outputs: tuple[bytes, ...]
    inputs: tuple[bytes, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as its sections."""

    kind: PackKind
    arena_bytes: int
    sections: Mapping[SectionId, bytes]

    def section(self, name: SectionId) -> bytes:
        """Return the bytes of a section; a missing one is empty."""
        return self.sections.get(name, b"")


def pad4(data: bytes) -> bytes:
    """Pad with zero bytes to a multiple of four."""
    return data + bytes(-len(data) % 4)


def name_hash(name: str) -> int:
    """Return the FNV-1a hash of a parameter's name: four bytes in place of the name."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def assemble(pack: Pack) -> bytes:
    """Write a pack from its sections."""
    ordered = sorted(pack.sections.items())
    for name, content in ordered:
        if len(content) > MAX_SECTION_BYTES:
            raise DoesNotFit(
                f"section {name.name} has {len(content)} bytes; a section holds at most {MAX_SECTION_BYTES}"
            )
    table = b"".join(struct.pack("<I", name << 24 | len(content)) for name, content in ordered)
    body = b"".join(pad4(content) for _, content in ordered)
    total = _HEADER.size + len(table) + len(body)
    return _HEADER.pack(MAGIC, FORMAT_VERSION, pack.kind, len(ordered), 0, total, pack.arena_bytes) + table + body


def disassemble(data: bytes) -> Pack:
    """Split a pack into its sections, and check its header and section table (rules 1 and 2)."""
    kind, count, total, arena = _parse_header(data)
    table = struct.unpack_from(f"<{count}I", data, _HEADER.size)
    sections: dict[SectionId, bytes] = {}
    at = _HEADER.size + 4 * count
    previous = 0
    for word in table:
        number, length = word >> 24, word & MAX_SECTION_BYTES
        if number not in tuple(SectionId) or number <= previous:
            raise PackMalformed(f"section {number} is unknown or out of order")
        previous = number
        end = at + length + (-length % 4)
        if end > total:
            raise PackMalformed(f"section {SectionId(number).name} ends after the pack")
        if any(data[at + length : end]):
            raise PackMalformed(f"padding after section {SectionId(number).name} is not zero")
        sections[SectionId(number)] = data[at : at + length]
        at = end
    if at != total:
        raise PackMalformed(f"the sections end at byte {at}, but the pack at {total}")
    _check_presence(kind, sections)
    return Pack(kind, arena, sections)


def _parse_header(data: bytes) -> tuple[PackKind, int, int, int]:
    if len(data) < _HEADER.size:
        raise PackMalformed(f"{len(data)} bytes are too few for a pack")
    magic, version, kind, count, zero, total, arena = _HEADER.unpack_from(data)
    if magic != MAGIC or zero != 0:
        raise PackMalformed("not a pack: it does not start with TFPK")
    if version != FORMAT_VERSION:
        raise PackMalformed(f"unknown pack format {version}; this program reads format {FORMAT_VERSION}")
    if kind not in tuple(PackKind):
        raise PackMalformed(f"unknown pack kind {kind}")
    if total != len(data) or total % 4:
        raise PackMalformed(f"the header declares {total} bytes, but the pack has {len(data)}")
    if not 1 <= count <= len(SectionId) or _HEADER.size + 4 * count > total:
        raise PackMalformed(f"the header declares {count} sections, which is out of range")
    return PackKind(kind), count, total, arena


def _check_presence(kind: PackKind, sections: Mapping[SectionId, bytes]) -> None:
    missing = REQUIRED[kind] - sections.keys()
    foreign = sections.keys() - ALLOWED[kind]
    if missing or foreign:
        names = ", ".join(sorted(section.name for section in missing or foreign))
        raise PackMalformed(f"a {kind.name} pack {'needs' if missing else 'cannot have'} {names}")


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


def encode_parameters(parameters: Sequence[Parameter]) -> bytes:
    """Write the section PARAMETERS."""
    if len(parameters) > MAX_PARAMETERS:
        raise DoesNotFit(f"the model has {len(parameters)} parameters; a pack has at most {MAX_PARAMETERS}")
    return b"".join(
        _PARAMETER.pack(p.name_hash, p.default, p.minimum, p.maximum, p.encoding, p.fraction_bits, 0)
        for p in parameters
    )


def decode_parameters(data: bytes) -> list[Parameter]:
    """Read the section PARAMETERS (rule 18)."""
    if len(data) % _PARAMETER.size or len(data) > MAX_PARAMETERS * _PARAMETER.size:
        raise PackMalformed("PARAMETERS is not a whole number of entries, or has too many")
    found = []
    for name, default, minimum, maximum, encoding, fraction, zero in _PARAMETER.iter_unpack(data):
        if not minimum <= default <= maximum or encoding not in tuple(ParameterEncoding) or fraction > 30 or zero:  # noqa: PLR2004 - section 3
            raise PackMalformed("PARAMETERS has an entry out of range")
        found.append(Parameter(name, default, minimum, maximum, ParameterEncoding(encoding), fraction))
    return found


def encode_golden(vectors: Sequence[Golden]) -> bytes:
    """Write the section GOLDEN."""
    parts = [struct.pack("<HH", len(vectors), 0)]
    for vector in vectors:
        parts.append(struct.pack("<I", vector.seed))
        parts.extend(pad4(data) for data in (*vector.inputs, *vector.outputs))
    return b"".join(parts)


def decode_golden(data: bytes, inputs: Sequence[Descriptor], outputs: Sequence[Descriptor]) -> list[Golden]:
    """Read the section GOLDEN (rule 21)."""
    count, zero = struct.unpack_from("<HH", data) if len(data) >= 4 else (0, 0)  # noqa: PLR2004 - the counts
    if not 1 <= count <= MAX_GOLDEN_VECTORS or zero:
        raise PackMalformed(f"GOLDEN declares {count} vectors; it must have 1 to {MAX_GOLDEN_VECTORS}")
    at = 4
    vectors = []
    for _ in range(count):
        if at + 4 > len(data):
            raise PackMalformed("GOLDEN is truncated")
        (seed,) = struct.unpack_from("<I", data, at)
        at += 4
        stored = [*([] if seed else inputs), *outputs]
        blobs: list[bytes] = []
        for item in stored:
            blobs.append(data[at : at + item.nbytes])
            at += item.nbytes + (-item.nbytes % 4)
        given = len(stored) - len(outputs)
        vectors.append(Golden(tuple(blobs[given:]), tuple(blobs[:given]), seed))
    if at != len(data):
        raise PackMalformed("GOLDEN does not have the length that its vectors require")
    return vectors
