# SPDX-License-Identifier: Apache-2.0
"""Packs and their sections: they round-trip, and damage is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.compiler.errors import DoesNotFit, PackMalformed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.decision_head import decode_head
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.inspect import inspect_pack
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import MAX_SECTION_BYTES, Pack, PackKind, SectionId, assemble, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors
from reconciler.compiler.pack.tunable_parameters_section import (
    MAX_PARAMETERS,
    Parameter,
    ParameterEncoding,
    decode_parameters,
    encode_parameters,
)
from reconciler.compiler.pack.weighted_sum_section import check_threshold
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from tests.compiler.make_vectors import good_packs


@pytest.mark.parametrize("name", sorted(good_packs()))
def test_disassembling_and_assembling_a_pack_gives_the_same_bytes(name: str) -> None:
    data = good_packs()[name]
    check_pack(data)
    assert assemble(disassemble(data)) == data
    assert ReferenceInterpreter(data).first_wrong_golden() is None
    assert inspect_pack(data)[0].rows
    for cut in range(0, len(data), 7):
        with pytest.raises(PackMalformed):
            check_pack(data[:cut])
    with pytest.raises(PackMalformed):
        check_pack(data + bytes(4))


def test_a_wrong_golden_vector_is_found() -> None:
    pack = disassemble(good_packs()["mean"])
    golden = bytearray(pack.section(SectionId.GOLDEN))
    golden[8] ^= 1  # the first output's first byte, after the count and the seed
    damaged = replace(pack, sections={**pack.sections, SectionId.GOLDEN: bytes(golden)})
    assert ReferenceInterpreter(assemble(damaged)).first_wrong_golden() == 0


ENTRY = Parameter(1, 0, -10, 10, ParameterEncoding.OUTPUT_VALUE)


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(DoesNotFit, match=f"a pack has at most {MAX_PARAMETERS}"):
        encode_parameters([ENTRY] * (MAX_PARAMETERS + 1))
    one = encode_parameters([ENTRY])
    for data in (one[:-1], one * (MAX_PARAMETERS + 1)):
        with pytest.raises(PackMalformed, match="not a whole number of entries, or has too many"):
            decode_parameters(data)


def test_a_section_that_is_too_long_is_refused() -> None:
    pack = disassemble(build_threshold_pack([1, 2], threshold=1))
    sections = {**pack.sections, SectionId.THRESHOLD: bytes(MAX_SECTION_BYTES + 1)}
    with pytest.raises(DoesNotFit, match=f"a section holds at most {MAX_SECTION_BYTES}"):
        assemble(Pack(PackKind.THRESHOLD, pack.arena_bytes, sections))


@pytest.mark.parametrize(
    ("read", "data", "message"),
    [
        (decode_io, b"\1", "IO is truncated"),
        (decode_tensors, b"", "TENSORS is not a whole number of records"),
        (decode_plan, b"\1", "PLAN is truncated"),
        (decode_head, b"\0", "HEAD has 1 bytes"),
        (lambda data: decode_forest(data, 3), b"\0", "FOREST is truncated"),
    ],
)
def test_a_truncated_section_is_refused(read: Callable[[bytes], object], data: bytes, message: str) -> None:
    with pytest.raises(PackMalformed, match=message):
        read(data)


def test_a_threshold_section_that_breaks_its_rules_is_refused() -> None:
    pack = disassemble(build_threshold_pack([1, 2], threshold=1))
    section = pack.section(SectionId.THRESHOLD)
    (source,), _ = decode_io(pack.section(SectionId.IO))
    with pytest.raises(PackMalformed, match="truncated"):
        check_threshold(section[:3], source, 1)
    count, index, shift, _ = struct.unpack_from("<HBBi", section)
    with pytest.raises(PackMalformed, match="could overflow"):
        check_threshold(struct.pack("<HBBi", count, index, shift, (1 << 31) - 1) + section[8:], source, 1)


def test_inputs_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(PackMalformed, match=r"the inputs must have \[4\] bytes"):
        ReferenceInterpreter(build_threshold_pack([1, 2], threshold=1)).run([b"\0"])
