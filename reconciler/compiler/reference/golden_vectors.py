# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: a few inputs with their exact outputs, with which a device checks its own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.golden_section import DIGEST_BYTES, GoldenVector, digest_of, encode_golden
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs

DEFAULT_SEEDS = (0x2545F491, 0x9E3779B9)
_MAX_LITERAL_BYTES = 64


def with_golden_vectors(
    pack: Pack,
    inputs: Sequence[Descriptor],
    outputs: Sequence[Descriptor],
    samples: Sequence[tuple[bytes, ...]],
    *,
    digests: bool = False,
) -> bytes:
    """Add golden vectors with the outputs of the reference interpreter, and assemble the pack.

    With `digests`, which makes the pack a stage of a pipeline, they have the SHA-256 of the outputs instead.
    """
    draft = _draft(pack, outputs, samples, digests=digests)
    drafted = assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(draft)}))
    check_pack(drafted)  # refuses an inconsistent model before any of it runs
    probe = ReferenceInterpreter(drafted)
    vectors = []
    for vector in draft:
        given = probe.run(generate_inputs(vector.seed, inputs) if vector.seed else vector.inputs).outputs
        vectors.append(replace(vector, outputs=given, digest=digest_of(given) if digests else None))
    return assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(vectors)}))


def with_blank_golden_vectors(pack: Pack, outputs: Sequence[Descriptor]) -> bytes:
    """Assemble a stage of a pipeline with golden vectors that expect nothing real, to learn its size without a run."""
    return assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(_draft(pack, outputs, (), digests=True))}))


def _draft(
    pack: Pack, outputs: Sequence[Descriptor], samples: Sequence[tuple[bytes, ...]], *, digests: bool
) -> list[GoldenVector]:
    empty = tuple(bytes(d.nbytes) for d in outputs)
    network = pack.kind is PackKind.NEURAL_NETWORK and sum(map(len, empty)) <= _MAX_LITERAL_BYTES
    digest = bytes(DIGEST_BYTES) if digests else None
    generated = DEFAULT_SEEDS if network else DEFAULT_SEEDS[:1]
    draft = [GoldenVector(empty, seed=seed, digest=digest) for seed in generated]
    given = [sample for sample in samples[:2] if sum(map(len, sample)) <= _MAX_LITERAL_BYTES]
    return draft + [GoldenVector(empty, sample, digest=digest) for sample in given]


def _with_sections(pack: Pack, sections: Mapping[SectionId, bytes]) -> Pack:
    return replace(pack, sections={**pack.sections, **sections})
