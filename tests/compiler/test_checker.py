# SPDX-License-Identifier: Apache-2.0
"""A pack that passes the checker can be run: no access out of bounds and no overflow, for any damaged pack.

The memory safety of devices rests on this, because inferences check nothing. The reference interpreter runs
the packs in place of a device: numpy refuses accesses out of bounds.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.golden_section import GoldenVector, encode_golden
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble, disassemble
from reconciler.compiler.pack.plan_section import decode_tensors
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from tests.compiler.make_vectors import good_packs

PACKS = good_packs()
EXAMPLES = int(os.environ.get("TINYFLEET_EXAMPLES", "60"))
STRUCTURE = {
    PackKind.THRESHOLD: (SectionId.THRESHOLD, SectionId.IO),
    PackKind.NEURAL_NETWORK: (SectionId.TENSORS, SectionId.PLAN, SectionId.HEAD, SectionId.STATE, SectionId.IO),
    PackKind.TREE_ENSEMBLE: (SectionId.FOREST, SectionId.FEATURES, SectionId.IO),
}


def with_fitting_golden(pack: Pack) -> bytes:
    """Add golden vectors of the right length, so that damaged inputs and outputs are not refused because of them."""
    _, outputs = decode_io(pack.section(SectionId.IO))
    golden = encode_golden([GoldenVector(tuple(bytes(d.nbytes) for d in outputs), seed=7)])
    return assemble(replace(pack, sections={**pack.sections, SectionId.GOLDEN: golden}))


@pytest.mark.parametrize("name", sorted(PACKS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_pack_that_passes_the_check_can_be_run(name: str, data: st.DataObject) -> None:
    pack = disassemble(PACKS[name])
    sections = {s: bytearray(pack.section(s)) for s in STRUCTURE[pack.kind] if pack.section(s)}
    for _ in range(data.draw(st.integers(1, 3))):
        section = data.draw(st.sampled_from(sorted(sections)))
        at = data.draw(st.integers(0, len(sections[section]) - 1))
        sections[section][at] = data.draw(st.one_of(st.integers(0, 8), st.integers(0, 255)))
    arena = data.draw(st.one_of(st.just(pack.arena_bytes), st.integers(0, 2 * pack.arena_bytes)))
    damaged = replace(
        pack, arena_bytes=arena, sections={**pack.sections, **{s: bytes(content) for s, content in sections.items()}}
    )
    try:
        whole = with_fitting_golden(damaged)
        check_pack(whole, arena_bytes=1 << 16)
    except (PackMalformed, DoesNotFit):  # golden vectors of millions of bytes do not fit
        return
    inputs, _ = decode_io(damaged.section(SectionId.IO))
    try:
        outcome = ReferenceInterpreter(whole).run(generate_inputs(99, inputs))
    except DoesNotFit:  # the reference interpreter copies everything that an operator reads; the C engine does not
        return
    assert -(1 << 31) <= outcome.decision < 1 << 31
    assert -(1 << 31) <= outcome.score < 1 << 31


@pytest.mark.parametrize("name", sorted(PACKS))
def test_the_operators_of_a_pack_are_listed(name: str) -> None:
    numbers = operator_numbers(PACKS[name])
    assert numbers == sorted(set(numbers))
    assert {*range(18), 21} >= set(numbers)


def test_a_pack_that_needs_more_arena_is_refused() -> None:
    pack = disassemble(PACKS["conv same"])
    with pytest.raises(PackMalformed, match="bytes of arena"):
        check_pack(PACKS["conv same"], arena_bytes=pack.arena_bytes - 1)
    smaller = replace(pack, arena_bytes=pack.arena_bytes - 4)
    with pytest.raises(PackMalformed, match="outside of its memory"):
        check_pack(assemble(smaller))


def test_an_output_on_top_of_its_input_is_refused() -> None:
    pack = disassemble(PACKS["conv same"])
    tensors = bytearray(pack.section(SectionId.TENSORS))
    records = decode_tensors(bytes(tensors))
    assert {record.offset for record in records} != {0}
    for i in range(len(records)):
        tensors[16 * i : 16 * i + 4] = bytes(4)
    with pytest.raises(PackMalformed, match="overlaps"):
        check_pack(assemble(replace(pack, sections={**pack.sections, SectionId.TENSORS: bytes(tensors)})))


def test_unexpected_and_missing_sections_are_refused() -> None:
    pack = disassemble(PACKS["mean"])
    without: dict[SectionId, bytes] = {
        name: content for name, content in pack.sections.items() if name is not SectionId.WEIGHTS
    }
    foreign: dict[SectionId, bytes] = {**pack.sections, SectionId.FOREST: b"1234"}
    cases: list[tuple[dict[SectionId, bytes], str]] = [(without, "needs WEIGHTS"), (foreign, "cannot have FOREST")]
    for sections, message in cases:
        with pytest.raises(PackMalformed, match=message):
            check_pack(assemble(replace(pack, sections=sections)))


def test_the_header_is_checked() -> None:
    good = PACKS["mean"]
    for at, value in ((0, 0), (4, 0), (4, 3), (5, 9), (6, 0), (6, 200), (7, 1), (8, good[8] ^ 4)):
        damaged = good[:at] + bytes([value]) + good[at + 1 :]
        with pytest.raises(PackMalformed):
            check_pack(damaged)


def test_multipliers_out_of_range_are_refused() -> None:
    pack = disassemble(PACKS["conv same"])
    weights = np.frombuffer(pack.section(SectionId.WEIGHTS), np.int8).copy()
    weights[-4:] = 31  # the shifts come last
    with pytest.raises(PackMalformed, match="out of range"):
        check_pack(assemble(replace(pack, sections={**pack.sections, SectionId.WEIGHTS: weights.tobytes()})))
