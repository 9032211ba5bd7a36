# SPDX-License-Identifier: Apache-2.0
"""Networks that drive the arithmetic to its limits, which no converted model does, but a corrupted one may."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache

import numpy as np

from reconciler.compiler.pack.golden_section import GoldenVector, encode_golden
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.operators import Convolution, FullyConnected
from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors
from reconciler.compiler.pack.wide_forms import SHIFTS
from reconciler.compiler.reference.golden_vectors import DEFAULT_SEEDS
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from tests.compiler.make_vectors import good_packs

PLAIN = (
    "conv same plain", "conv valid dilated plain", "depthwise same plain", "depthwise valid plain", "dense per channel"
)  # fmt: skip
WIDE = ("conv same", "conv valid dilated", "depthwise same", "depthwise valid", "dense wide")
FAST = SHIFTS  # those of the wide forms
ANY = (-31, 30)
_EDGES = (0, 1, -1, 1 << 29, (1 << 30) - 1, 1 << 30, -(1 << 30), -(1 << 30) - 1, (1 << 31) - 1, -(1 << 31))


def extreme_packs(seed: int, shifts: tuple[int, int]) -> dict[str, bytes]:
    """One pack for each kind of layer, with the sums near the ends of 32 bits and shifts from a range."""
    layers = (*PLAIN, *WIDE) if shifts == FAST else PLAIN
    return {name: _driven(_packs()[name], np.random.default_rng(seed), shifts) for name in layers}


@cache
def _packs() -> dict[str, bytes]:
    return good_packs()


def _driven(data: bytes, rng: np.random.Generator, shifts: tuple[int, int]) -> bytes:
    pack = disassemble(data)
    weights = bytearray(pack.section(SectionId.WEIGHTS))
    tensors = decode_tensors(pack.section(SectionId.TENSORS))
    for operator in decode_plan(pack.section(SectionId.PLAN)):
        if isinstance(operator, (Convolution, FullyConnected)):
            channels = tensors[operator.output].dims[3]
            low, high = (1, 62) if isinstance(operator, FullyConnected) else shifts
            bias = [_near(rng) for _ in range(channels)]
            multipliers = [int(rng.integers(1 << 30, 1 << 31)) for _ in range(channels)]
            struct.pack_into(f"<{channels}i", weights, operator.bias, *bias)
            struct.pack_into(f"<{channels}i", weights, operator.multipliers, *multipliers)
            drawn = rng.integers(low, high + 1, channels).tolist()
            struct.pack_into(f"<{channels}b", weights, operator.shifts, *drawn)
    return _with_golden(assemble(replace(pack, sections={**pack.sections, SectionId.WEIGHTS: bytes(weights)})))


def _near(rng: np.random.Generator) -> int:
    """A number near an edge, or anywhere of any size."""
    if rng.integers(0, 2):
        return int(np.clip(rng.choice(_EDGES) + rng.integers(-70000, 70001), -(1 << 31), (1 << 31) - 1))
    return int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(0, 24))


def _with_golden(data: bytes) -> bytes:
    pack = disassemble(data)
    inputs, _ = decode_io(pack.section(SectionId.IO))
    reference = ReferenceInterpreter(data)
    vectors = [GoldenVector(reference.run(generate_inputs(seed, inputs)).outputs, seed=seed) for seed in DEFAULT_SEEDS]
    return assemble(replace(pack, sections={**pack.sections, SectionId.GOLDEN: encode_golden(vectors)}))
