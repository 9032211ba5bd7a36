# SPDX-License-Identifier: Apache-2.0
"""The section PARAMETERS: numbers that an envelope can change (docs/specs/pack.md section 3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import DoesNotFit, PackMalformed

MAX_PARAMETERS = 16


_PARAMETER = struct.Struct("<IiiiBBH")


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


def name_hash(name: str) -> int:
    """Return the FNV-1a hash of a parameter's name: four bytes in place of the name."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


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
