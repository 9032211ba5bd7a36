# SPDX-License-Identifier: Apache-2.0
"""The section GOLDEN: inputs with their exact outputs (docs/specs/pack.md section 4)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import pad4

MAX_GOLDEN_VECTORS = 64


@dataclass(frozen=True, slots=True)
class GoldenVector:
    """An input with its exact output. With seed 0 the inputs are stored, otherwise they are generated from it."""

    outputs: tuple[bytes, ...]
    inputs: tuple[bytes, ...] = ()
    seed: int = 0


def encode_golden(vectors: Sequence[GoldenVector]) -> bytes:
    """Write the section GOLDEN."""
    parts = [struct.pack("<HH", len(vectors), 0)]
    for vector in vectors:
        parts.append(struct.pack("<I", vector.seed))
        parts.extend(pad4(data) for data in (*vector.inputs, *vector.outputs))
    return b"".join(parts)


def decode_golden(data: bytes, inputs: Sequence[Descriptor], outputs: Sequence[Descriptor]) -> list[GoldenVector]:
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
        vectors.append(GoldenVector(tuple(blobs[given:]), tuple(blobs[:given]), seed))
    if at != len(data):
        raise PackMalformed("GOLDEN does not have the length that its vectors require")
    return vectors
