# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: a few inputs with the exact outputs, so that a device can judge its own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.pack_format import Descriptor, Golden, Pack, PackKind, SectionId, assemble, encode_golden
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs

DEFAULT_SEEDS = (0x2545F491, 0x9E3779B9)
_LARGEST_LITERAL = 64


def with_golden(
    pack: Pack, inputs: Sequence[Descriptor], outputs: Sequence[Descriptor], samples: Sequence[tuple[bytes, ...]]
) -> bytes:
    """Add golden vectors, with the outputs that the reference computes, and write the pack."""
    empty = tuple(bytes(d.nbytes) for d in outputs)
    network = pack.kind is PackKind.NEURAL_NETWORK and sum(map(len, empty)) <= _LARGEST_LITERAL
    generated = DEFAULT_SEEDS if network else DEFAULT_SEEDS[:1]
    draft = [Golden(empty, seed=seed) for seed in generated]
    draft += [Golden(empty, sample) for sample in samples[:2] if sum(map(len, sample)) <= _LARGEST_LITERAL]
    drafted = assemble(_replaced(pack, {SectionId.GOLDEN: encode_golden(draft)}))
    check_pack(drafted)  # a model that contradicts itself ends here, before anything of it runs
    probe = ReferenceInterpreter(drafted)
    vectors = [
        replace(v, outputs=probe.run(generate_inputs(v.seed, inputs) if v.seed else v.inputs).outputs) for v in draft
    ]
    return assemble(_replaced(pack, {SectionId.GOLDEN: encode_golden(vectors)}))


def _replaced(pack: Pack, sections: Mapping[SectionId, bytes]) -> Pack:
    return Pack(pack.kind, pack.arena_bytes, {**pack.sections, **sections})
