# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: a few inputs with their exact outputs, with which a device checks its own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.golden_section import DIGEST_BYTES, GoldenVector, digest_of, encode_golden
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble
from reconciler.compiler.reference.interpreter import ReferenceInterpreter

DEFAULT_SEEDS = (0x2545F491, 0x9E3779B9)
_MAX_LITERAL_BYTES = 64
SEQUENCE_STEPS = 16  # of each golden vector of a pack with state, as long as their outputs are small
_MAX_SEQUENCE_BYTES = 512


def with_golden_vectors(
    pack: Pack, outputs: Sequence[Descriptor], samples: Sequence[tuple[bytes, ...]], *, digests: bool = False
) -> bytes:
    """Add golden vectors with the outputs of the reference interpreter, and assemble the pack.

    With `digests`, which makes the pack a stage of a pipeline, they have the SHA-256 of the outputs instead.
    """
    steps = _steps(pack, outputs)
    draft = _draft(pack, outputs, samples, digests=digests)
    drafted = assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(draft, steps)}))
    check_pack(drafted)  # refuses an inconsistent model before any of it runs
    probe = ReferenceInterpreter(drafted)
    vectors = []
    for at, vector in enumerate(draft):
        given = probe.run_sequence(probe.golden_inputs(at))
        vectors.append(replace(vector, outputs=given, digest=digest_of(given) if digests else None))
    return assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(vectors, steps)}))


def with_blank_golden_vectors(pack: Pack, outputs: Sequence[Descriptor]) -> bytes:
    """Assemble a stage of a pipeline with golden vectors that expect nothing real, to learn its size without a run."""
    return assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(_draft(pack, outputs, (), digests=True))}))


def _steps(pack: Pack, outputs: Sequence[Descriptor]) -> int:
    if SectionId.STATE not in pack.sections:
        return 1
    return min(max(2, _MAX_SEQUENCE_BYTES // sum(d.nbytes for d in outputs)), SEQUENCE_STEPS)


def _draft(
    pack: Pack, outputs: Sequence[Descriptor], samples: Sequence[tuple[bytes, ...]], *, digests: bool
) -> list[GoldenVector]:
    empty = tuple(bytes(d.nbytes) for d in outputs)
    network = pack.kind is PackKind.NEURAL_NETWORK and sum(map(len, empty)) <= _MAX_LITERAL_BYTES
    digest = bytes(DIGEST_BYTES) if digests else None
    generated = DEFAULT_SEEDS if network else DEFAULT_SEEDS[:1]
    steps = _steps(pack, outputs)
    draft = [GoldenVector(empty * steps, seed=seed, digest=digest) for seed in generated]
    if SectionId.STATE in pack.sections:
        return draft  # each sample is one input, not a sequence
    given = [sample for sample in samples[:2] if sum(map(len, sample)) <= _MAX_LITERAL_BYTES]
    return draft + [GoldenVector(empty, sample, digest=digest) for sample in given]


def _with_sections(pack: Pack, sections: Mapping[SectionId, bytes]) -> Pack:
    return replace(pack, sections={**pack.sections, **sections})
