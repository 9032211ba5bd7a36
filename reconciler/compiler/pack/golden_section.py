# SPDX-License-Identifier: Apache-2.0
"""The section GOLDEN: inputs with their exact outputs (docs/specs/pack.md section 4)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import pad4

MAX_GOLDEN_VECTORS = 64
MAX_STEPS = 64
DIGEST_BYTES = 32
_DIGESTS = 0x8000  # in the second u16 of the section: vectors have the SHA-256 of their outputs


@dataclass(frozen=True, slots=True)
class GoldenVector:
    """An input with its exact output. With seed 0 the inputs are stored, otherwise they are generated from it.

    In a pack with state, a vector is a sequence: `inputs` and `outputs` are those of all its steps, in order.
    `digest` is set in the stage of a pipeline, and replaces the outputs.
    """

    outputs: tuple[bytes, ...]
    inputs: tuple[bytes, ...] = ()
    seed: int = 0
    digest: bytes | None = None

    def expects(self, outputs: Sequence[bytes]) -> bool:
        """Return whether these are the outputs to expect."""
        return tuple(outputs) == self.outputs if self.digest is None else digest_of(outputs) == self.digest


def digest_of(outputs: Sequence[bytes]) -> bytes:
    """Return the digest that replaces outputs in the stage of a pipeline."""
    return hashlib.sha256(b"".join(outputs)).digest()


def encode_golden(vectors: Sequence[GoldenVector], steps: int = 1) -> bytes:
    """Write the section GOLDEN. All vectors have the same number of steps; either all have a digest, or none has."""
    digests = _DIGESTS if any(vector.digest is not None for vector in vectors) else 0
    parts = [struct.pack("<HH", len(vectors), digests | (steps - 1))]
    for vector in vectors:
        parts.append(struct.pack("<I", vector.seed))
        expected = vector.outputs if vector.digest is None else (vector.digest,)
        parts.extend(pad4(data) for data in (*vector.inputs, *expected))
    return b"".join(parts)


def has_digests(data: bytes) -> bool:
    """Return whether the vectors of a section have digests: the pack is the stage of a pipeline."""
    return bool(_form(data)[1] & _DIGESTS)


def _form(data: bytes) -> tuple[int, int]:
    """Return how many vectors there are, and in which form."""
    return struct.unpack_from("<HH", data) if len(data) >= 4 else (0, 0)  # noqa: PLR2004 - the counts


def decode_golden(
    data: bytes, inputs: Sequence[Descriptor], outputs: Sequence[Descriptor], *, sequences: bool = False
) -> list[GoldenVector]:
    """Read the section GOLDEN (rule 21); only the vectors of a pack with state can be sequences."""
    count, form = _form(data)
    digests = form == _DIGESTS
    further = 0 if digests else form
    if digests and sequences:
        raise PackMalformed("a pack with state has no digests in GOLDEN")
    if not 1 <= count <= MAX_GOLDEN_VECTORS:
        raise PackMalformed(f"GOLDEN declares {count} vectors; it must have 1 to {MAX_GOLDEN_VECTORS}")
    if further >= (MAX_STEPS if sequences else 1):
        raise PackMalformed(f"GOLDEN declares vectors of {further + 1} steps; {'64' if sequences else 'one'} at most")
    steps = further + 1
    at = 4
    vectors = []
    for _ in range(count):
        if at + 4 > len(data):
            raise PackMalformed("GOLDEN is truncated")
        (seed,) = struct.unpack_from("<I", data, at)
        at += 4
        given = [] if seed else [item.nbytes for item in inputs] * steps
        expected = [DIGEST_BYTES] if digests else [item.nbytes for item in outputs] * steps
        blobs: list[bytes] = []
        for size in (*given, *expected):
            blobs.append(data[at : at + size])
            at += size + (-size % 4)
        stored, last = tuple(blobs[: len(given)]), tuple(blobs[len(given) :])
        vectors.append(GoldenVector((), stored, seed, last[0]) if digests else GoldenVector(last, stored, seed))
    if at != len(data):
        raise PackMalformed("GOLDEN does not have the length that its vectors require")
    return vectors
