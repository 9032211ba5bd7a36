# SPDX-License-Identifier: Apache-2.0
"""The container of a pack: its header and its section table (docs/specs/pack.md section 1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import DoesNotFit, PackMalformed

MAGIC = b"TFPK"
OLDEST_FORMAT_VERSION = 1
WIDE_FORMAT_VERSION = 2  # the first with the wide forms of layers
FORMAT_VERSION = 2
MAX_SECTION_BYTES = (1 << 24) - 1

_HEADER = struct.Struct("<4sBBBBII")


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
    LEARN = 11
    STATE = 12


_S = SectionId
REQUIRED: Mapping[PackKind, frozenset[SectionId]] = {
    PackKind.THRESHOLD: frozenset({_S.IO, _S.GOLDEN, _S.THRESHOLD}),
    PackKind.NEURAL_NETWORK: frozenset({_S.IO, _S.TENSORS, _S.PLAN, _S.WEIGHTS, _S.GOLDEN}),
    PackKind.TREE_ENSEMBLE: frozenset({_S.IO, _S.FOREST, _S.FEATURES, _S.GOLDEN}),
}
ALLOWED: Mapping[PackKind, frozenset[SectionId]] = {
    PackKind.THRESHOLD: REQUIRED[PackKind.THRESHOLD] | {_S.PARAMETERS},
    PackKind.NEURAL_NETWORK: REQUIRED[PackKind.NEURAL_NETWORK] | {_S.PARAMETERS, _S.HEAD, _S.STATE},
    PackKind.TREE_ENSEMBLE: REQUIRED[PackKind.TREE_ENSEMBLE] | {_S.PARAMETERS, _S.LEARN},
}


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as its sections."""

    kind: PackKind
    arena_bytes: int
    sections: Mapping[SectionId, bytes]
    version: int = OLDEST_FORMAT_VERSION

    def section(self, name: SectionId) -> bytes:
        """Return the bytes of a section; a missing one is empty."""
        return self.sections.get(name, b"")


def pad4(data: bytes) -> bytes:
    """Pad with zero bytes to a multiple of four."""
    return data + bytes(-len(data) % 4)


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
    return _HEADER.pack(MAGIC, pack.version, pack.kind, len(ordered), 0, total, pack.arena_bytes) + table + body


def disassemble(data: bytes) -> Pack:
    """Split a pack into its sections, and check its header and section table (rules 1 and 2)."""
    version, kind, count, total, arena = _parse_header(data)
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
    return Pack(kind, arena, sections, version)


def _parse_header(data: bytes) -> tuple[int, PackKind, int, int, int]:
    if len(data) < _HEADER.size:
        raise PackMalformed(f"{len(data)} bytes are too few for a pack")
    magic, version, kind, count, zero, total, arena = _HEADER.unpack_from(data)
    if magic != MAGIC or zero != 0:
        raise PackMalformed("not a pack: it does not start with TFPK")
    if not OLDEST_FORMAT_VERSION <= version <= FORMAT_VERSION:
        raise PackMalformed(
            f"unknown pack format {version}; this program reads formats {OLDEST_FORMAT_VERSION} to {FORMAT_VERSION}"
        )
    if kind not in tuple(PackKind):
        raise PackMalformed(f"unknown pack kind {kind}")
    if total != len(data) or total % 4:
        raise PackMalformed(f"the header declares {total} bytes, but the pack has {len(data)}")
    if not 1 <= count <= len(SectionId) or _HEADER.size + 4 * count > total:
        raise PackMalformed(f"the header declares {count} sections, which is out of range")
    return version, PackKind(kind), count, total, arena


def _check_presence(kind: PackKind, sections: Mapping[SectionId, bytes]) -> None:
    missing = REQUIRED[kind] - sections.keys()
    foreign = sections.keys() - ALLOWED[kind]
    if missing or foreign:
        names = ", ".join(sorted(section.name for section in missing or foreign))
        raise PackMalformed(f"a {kind.name} pack {'needs' if missing else 'cannot have'} {names}")
