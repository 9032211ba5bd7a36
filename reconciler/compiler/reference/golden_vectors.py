# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: a few inputs with their exact outputs, with which a device checks its own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.golden_section import GoldenVector, encode_golden
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs

DEFAULT_SEEDS = (0x2545F491, 0x9E3779B9)
_MAX_LITERAL_BYTES = 64


def with_golden_vectors(
    pack: Pack, inputs: Sequence[Descriptor], outputs: Sequence[Descriptor], samples: Sequence[tuple[bytes, ...]]
) -> bytes:
    """Add golden vectors with the outputs of the reference interpreter, and assemble the pack."""
    empty = tuple(bytes(d.nbytes) for d in outputs)
    network = pack.kind is PackKind.NEURAL_NETWORK and sum(map(len, empty)) <= _MAX_LITERAL_BYTES
    generated = DEFAULT_SEEDS if network else DEFAULT_SEEDS[:1]
    draft = [GoldenVector(empty, seed=seed) for seed in generated]
    draft += [GoldenVector(empty, sample) for sample in samples[:2] if sum(map(len, sample)) <= _MAX_LITERAL_BYTES]
    drafted = assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(draft)}))
    check_pack(drafted)  # refuses an inconsistent model before any of it runs
    probe = ReferenceInterpreter(drafted)
    vectors = [
        replace(v, outputs=probe.run(generate_inputs(v.seed, inputs) if v.seed else v.inputs).outputs) for v in draft
    ]
    return assemble(_with_sections(pack, {SectionId.GOLDEN: encode_golden(vectors)}))


def _with_sections(pack: Pack, sections: Mapping[SectionId, bytes]) -> Pack:
    return replace(pack, sections={**pack.sections, **sections})
