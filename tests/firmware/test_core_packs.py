# SPDX-License-Identifier: Apache-2.0
"""The structure of packs and the engine of kind 0 in the core in C, under the sanitizers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.firmware.bench import make_pack
from tests.firmware.conftest import build
from tests.firmware.core_process import CoreProcess

VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors" / "pack.json"
PACK, KIND, ARENA, GOLDEN_MISMATCH, INPUT = -83, -84, -86, -87, -92  # errors
ARENA_BYTES: Final = 65536


@pytest.fixture(scope="module")
def core() -> Iterator[CoreProcess]:
    process = CoreProcess(build("host-asan") / "core-check-small")
    yield process
    process.close()


# ---------------------------------------------------------------- vectors and structure

PACKS = json.loads(VECTORS.read_text())
THRESHOLD_PACKS = [pack for pack in PACKS["good"] if pack["name"].startswith("threshold")]


@pytest.mark.parametrize("vector", THRESHOLD_PACKS, ids=lambda vector: vector["name"])
def test_pack_of_kind_0(core: CoreProcess, vector: dict[str, Any]) -> None:
    checked, *golden = core.ask("pack", ARENA_BYTES, bytes.fromhex(vector["pack"])).split()
    assert checked == "0"
    assert golden[-1] == "2"
    assert set(golden[:-1]) == {"0"}


def test_edited_packs_of_kind_0(core: CoreProcess) -> None:
    packs = {pack["name"]: bytes.fromhex(pack["pack"]) for pack in THRESHOLD_PACKS}
    edits = [edit for edit in PACKS["edited"] if edit["pack"] in packs]
    assert len(edits) > 50
    wrong = []
    for edit in edits:
        pack = bytearray(packs[edit["pack"]])
        pack[edit["at"]] = edit["value"]
        error = int(core.ask("pack", ARENA_BYTES, bytes(pack)).split()[0])
        if (error == 0) != edit["valid"]:
            wrong.append((edit, error))
    assert not wrong


@pytest.mark.parametrize("sections", [0, 1, 2, 16, 17, 255])
def test_a_pack_with_any_number_of_sections_is_read_within_its_bytes(core: CoreProcess, sections: int) -> None:
    """The directory has fewer entries than it states, or exactly as many."""
    for entries in {0, 1, sections - 1, sections} - {-1}:
        size = 16 + 4 * entries
        head = b"TFPK" + bytes([2, 0, sections, 0]) + struct.pack("<II", size, 0)
        pack = head + b"".join(bytes(3) + bytes([number % 256]) for number in range(1, entries + 1))
        assert core.ask("pack", ARENA_BYTES, pack).split()[0] == str(PACK)


@pytest.mark.parametrize("longer", [1, 5, 0x1001, 0xF0_0001])
def test_a_pack_with_a_section_behind_its_end_is_refused(core: CoreProcess, longer: int) -> None:
    """The zeros that fill its last word are not looked for there."""
    pack = bytearray.fromhex(THRESHOLD_PACKS[0]["pack"])
    for at in range(16, 16 + 4 * pack[6], 4):
        (entry,) = struct.unpack_from("<I", pack, at)
        struct.pack_into("<I", pack, at, entry + longer)
        assert core.ask("pack", ARENA_BYTES, bytes(pack)).split()[0] == str(PACK)
        struct.pack_into("<I", pack, at, entry)


Sections = dict[int, bytes]  # by their ids, in order
IO, PARAMETERS, GOLDEN, THRESHOLD = 1, 7, 8, 10


def sections_of(pack: bytes) -> Sections:
    sections, at = {}, 16 + 4 * pack[6]
    for (entry,) in struct.iter_unpack("<I", pack[16:at]):
        length = entry & 0xFFFFFF
        sections[entry >> 24] = pack[at : at + length]
        at += length + 3 & ~3
    return sections


def pack_of(sections: list[tuple[int, bytes]], *, kind: int = 0, arena: int = 0) -> bytes:
    body = b"".join(struct.pack("<I", number << 24 | len(data)) for number, data in sections)
    body += b"".join(data + bytes(-len(data) % 4) for _, data in sections)
    return b"TFPK" + bytes([2, kind, len(sections), 0]) + struct.pack("<II", 16 + len(body), arena) + body


def check_pack(core: CoreProcess, pack: bytes) -> int:
    """Return what the core says of a pack."""
    return int(core.ask("pack", ARENA_BYTES, pack).split()[0])


def check_sections(core: CoreProcess, sections: list[tuple[int, bytes]], *, kind: int = 0) -> int:
    """Return what the core says of a pack with these sections."""
    return check_pack(core, pack_of(sections, kind=kind))


GOOD = sections_of(bytes.fromhex(THRESHOLD_PACKS[0]["pack"]))


def test_a_pack_with_sections_twice_or_out_of_order_is_refused(core: CoreProcess) -> None:
    sections = list(GOOD.items())
    assert check_sections(core, sections) == 0
    for at in range(len(sections) - 1):
        assert check_sections(core, [*sections[:at], sections[at + 1], sections[at], *sections[at + 2 :]]) == PACK
        assert check_sections(core, [*sections[: at + 1], *sections[at:]]) == PACK


def test_a_pack_has_the_sections_of_its_kind_and_no_others(core: CoreProcess) -> None:
    for number in GOOD.keys() - {PARAMETERS}:
        assert check_sections(core, [each for each in GOOD.items() if each[0] != number]) == PACK
    for number in {*range(16), 31, 32, 33, 255} - GOOD.keys():
        assert check_sections(core, sorted([*GOOD.items(), (number, bytes(4))])) == PACK, number
    for kind in (3, 4, 255):
        assert check_sections(core, list(GOOD.items()), kind=kind) == KIND


@pytest.mark.parametrize(
    ("kind", "must", "may"), [(0, {1, 8, 10}, {7}), (1, {1, 2, 3, 4, 8}, {7, 9, 12}), (2, {1, 5, 6, 8}, {7, 11})]
)
def test_each_kind_has_its_table_of_sections(core: CoreProcess, kind: int, must: set[int], may: set[int]) -> None:
    """The process has no engine for the kinds 1 and 2: that comes after the check of their sections."""

    def check(ids: set[int]) -> int:
        sections = {number: GOOD.get(number, bytes(20)) for number in sorted(ids)}
        return check_sections(core, list(sections.items()), kind=kind)

    right = KIND if kind else 0
    assert check(must | may) == right
    for number in {*range(1, 15), 31, 32, 255}:
        # a rule needs the parameter that it names
        assert check({*must, 7} - {number}) == (PACK if number in must or (kind, number) == (0, 7) else right), number
        assert check({*must, 7} | {number}) == (right if number in must | may else PACK), number


@pytest.mark.parametrize(("form", "error"), [(0, PACK), (1, 0), (2, 0), (3, PACK), (255, PACK)])
def test_a_pack_has_a_format_that_the_core_knows(core: CoreProcess, form: int, error: int) -> None:
    pack = bytearray.fromhex(THRESHOLD_PACKS[0]["pack"])
    pack[4] = form
    assert int(core.ask("pack", ARENA_BYTES, bytes(pack)).split()[0]) == error


def test_a_pack_with_anything_but_zeros_between_its_sections_is_refused(core: CoreProcess) -> None:
    pack = bytearray(make_pack(1, inputs=33))
    at = 16 + 4 * pack[6]
    filled = 0
    for data in sections_of(bytes(pack)).values():
        at += len(data)
        for _ in range(-len(data) % 4):
            pack[at] = 1
            assert core.ask("pack", ARENA_BYTES, bytes(pack)).split()[0] == str(PACK)
            pack[at] = 0
            at += 1
            filled += 1
    assert filled > 0
    assert core.ask("pack", ARENA_BYTES, bytes(pack)).split()[0] == "0"


def parameter(preset: int, least: int, most: int, tail: bytes = bytes(4)) -> bytes:
    """Return an entry; its tail is encoding, fraction, and two zeros."""
    return struct.pack("<Iiii", 1, preset, least, most) + tail


@pytest.mark.parametrize("size", [19, 20, 21, 40, 15 * 20, 16 * 20, 17 * 20, 60 * 20])
def test_a_pack_has_at_most_16_parameters_and_no_part_of_one(core: CoreProcess, size: int) -> None:
    table = (parameter(1, 0, 9) * 60)[:size]
    error = check_sections(core, list({**GOOD, PARAMETERS: table}.items()))
    assert error == (0 if size in {20, 40, 15 * 20, 16 * 20} else PACK)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (parameter(5, 5, 5), 0),
        (parameter(5, 6, 9), PACK),
        (parameter(5, -9, 4), PACK),
        (parameter(-5, -5, 2**31 - 1), 0),
        (parameter(0, 0, 1, b"\x03\0\0\0"), 0),
        (parameter(0, 0, 1, b"\x04\0\0\0"), PACK),
        (parameter(0, 0, 1, b"\0\x1e\0\0"), 0),
        (parameter(0, 0, 1, b"\0\x1f\0\0"), PACK),
        (parameter(0, 0, 1, b"\0\0\1\0"), PACK),
        (parameter(0, 0, 1, b"\0\0\0\x80"), PACK),
    ],
)
def test_a_pack_has_each_parameter_in_its_range(core: CoreProcess, entry: bytes, error: int) -> None:
    sections = {**GOOD, PARAMETERS: GOOD[PARAMETERS] + entry}
    assert check_sections(core, list(sections.items())) == error


def test_a_pack_cut_short_anywhere_is_refused(core: CoreProcess) -> None:
    pack = bytes.fromhex(THRESHOLD_PACKS[0]["pack"])
    for length in range(len(pack)):
        assert int(core.ask("pack", ARENA_BYTES, pack[:length]).split()[0]) < 0


@pytest.mark.parametrize(("arena", "error"), [(0, 0), (ARENA_BYTES, 0), (ARENA_BYTES + 1, ARENA), (2**32 - 1, ARENA)])
def test_a_pack_that_needs_a_larger_arena_is_refused(core: CoreProcess, arena: int, error: int) -> None:
    assert check_pack(core, pack_of(list(GOOD.items()), arena=arena)) == error


# ---------------------------------------------------------------- kind 0

INT8, INT16, INT32 = 1, 2, 3
LARGEST = 2**31 - 1


def descriptor(kind: int, elements: int) -> bytes:
    """Return the description of an input or output of rank 1."""
    return struct.pack("<BBHfiHH", kind, 1, 0xFFFF, 1.0, 0, elements, 0)


def io(kind: int, inputs: int) -> bytes:
    return bytes([1, 1, 0, 0]) + descriptor(kind, inputs) + descriptor(INT32, 2)


def weighted_sum(weights: Sequence[int], *, bias: int = 0, shift: int = 0, threshold: int = 0) -> bytes:
    """Return a section THRESHOLD; `threshold` is the index of the parameter."""
    return struct.pack(f"<HBBi{len(weights)}b", len(weights), threshold, shift, bias, *weights)


def golden(*vectors: bytes, form: int = 0) -> bytes:
    return struct.pack("<HH", len(vectors), form) + b"".join(vectors)


def from_seed(seed: int, decision: int = 0, score: int = 0) -> bytes:
    """Return a golden vector with generated inputs."""
    return struct.pack("<Iii", seed, decision, score)


def rule(weights: Sequence[int], kind: int = INT16, **options: int) -> Sections:
    """Return a model with one golden vector, whose output is not that of the model."""
    return {
        IO: io(kind, len(weights)),
        PARAMETERS: parameter(5, -LARGEST, LARGEST),
        GOLDEN: golden(from_seed(1)),
        THRESHOLD: weighted_sum(weights, **options),
    }


def check_rule(core: CoreProcess, sections: Sections) -> int:
    return check_sections(core, list(sections.items()))


def run_rule(core: CoreProcess, sections: Sections, samples: bytes) -> tuple[int, int, int]:
    error, decision, score = map(int, core.ask("run", pack_of(list(sections.items())), samples).split())
    return error, decision, score


def seeds_of(vector: dict[str, Any]) -> list[bytes]:
    return [struct.pack("<I", run["seed"]) + bytes.fromhex(run["outputs"]) for run in vector["runs"]]


@pytest.mark.parametrize("vector", THRESHOLD_PACKS, ids=lambda vector: vector["name"])
def test_generated_inputs_give_the_outputs_of_the_reference(core: CoreProcess, vector: dict[str, Any]) -> None:
    sections = sections_of(bytes.fromhex(vector["pack"]))
    for runs in (seeds_of(vector), seeds_of(vector)[::-1]):
        pack = pack_of(list({**sections, GOLDEN: golden(*runs)}.items()))
        assert core.ask("pack", ARENA_BYTES, pack).split() == ["0", "0", "0", "0", "2"]


@pytest.mark.parametrize("vector", THRESHOLD_PACKS, ids=lambda vector: vector["name"])
def test_a_golden_vector_must_match_in_decision_and_score(core: CoreProcess, vector: dict[str, Any]) -> None:
    """The decision alone, or the score alone, is not enough, in whichever vector it is."""
    sections = sections_of(bytes.fromhex(vector["pack"]))
    for number, right in enumerate(seeds_of(vector)):
        for at in (4, 8, 11):
            wrong = bytearray(right)
            wrong[at] ^= 1
            vectors = seeds_of(vector)
            vectors[number] = bytes(wrong)
            pack = pack_of(list({**sections, GOLDEN: golden(*vectors)}.items()))
            assert core.ask("pack", ARENA_BYTES, pack).split() == ["0"] * (number + 1) + [str(GOLDEN_MISMATCH)]


@pytest.mark.parametrize(("kind", "form", "most"), [(INT8, "b", 127), (INT16, "h", 32767)])
def test_a_window_is_weighed(core: CoreProcess, kind: int, form: str, most: int) -> None:
    weights = [-128, 127, 1, -1, 0, 5, -77]
    for samples in ([most] * 7, [-most - 1] * 7, [most, -most - 1, 3, -3, 0, 100, -100], [0] * 7):
        acc = 1000 + sum(weight * sample for weight, sample in zip(weights, samples, strict=True))
        for shift in (0, 1, 7, 15):
            sections = rule(weights, kind, bias=1000, shift=shift)
            decision = int(acc >> shift > 5)
            assert run_rule(core, sections, struct.pack(f"<7{form}", *samples)) == (0, decision, acc >> shift)


def test_the_score_must_exceed_the_parameter_that_the_model_names(core: CoreProcess) -> None:
    table = parameter(-100, -100, -100) + parameter(40, 0, 50) + parameter(90, 90, 90)
    for score, decision in ((39, 0), (40, 0), (41, 1), (90, 1), (-100, 0)):
        sections = {**rule([1], INT8, threshold=1), PARAMETERS: table}
        assert run_rule(core, sections, struct.pack("b", score)) == (0, decision, score)


def test_golden_vectors_use_the_default_of_the_parameter(core: CoreProcess) -> None:
    for preset, decision in ((39, 1), (40, 0), (41, 0)):
        vector = struct.pack("<Ib3xii", 0, 40, decision, 40)
        sections = {**rule([1], INT8), PARAMETERS: parameter(preset, 0, 50), GOLDEN: golden(vector)}
        assert core.ask("pack", ARENA_BYTES, pack_of(list(sections.items()))).split() == ["0", "0", "2"]


@pytest.mark.parametrize(("kind", "width"), [(INT8, 1), (INT16, 2)])
def test_a_window_of_any_other_length_is_refused(core: CoreProcess, kind: int, width: int) -> None:
    sections = rule([1, 2, 3, 4], kind)
    for length in range(13):
        assert (run_rule(core, sections, bytes(length))[0] == 0) == (length == 4 * width)
    assert run_rule(core, sections, bytes(4 * width + 1))[0] == INPUT


@pytest.mark.parametrize("kind", [INT8, INT16])
def test_a_rule_has_one_input_and_one_output_of_its_shapes(core: CoreProcess, kind: int) -> None:
    """Any other value of a byte is refused, except in the scales and zero points."""
    sections = rule([1, 2, 3], kind)
    free = {*range(4 + 4, 4 + 12), *range(20 + 4, 20 + 12)}
    for at in sorted({*range(36)} - free):
        for value in range(256):
            table = bytearray(sections[IO])
            table[at] = value
            fits = value == sections[IO][at] or (at == 4 and value in {INT8, INT16})
            assert check_rule(core, {**sections, IO: bytes(table)}) == (0 if fits else PACK), (at, value)


def test_a_rule_with_descriptions_of_any_other_length_is_refused(core: CoreProcess) -> None:
    sections = rule([1, 2, 3])
    whole = sections[IO]
    for size in range(len(whole)):
        assert check_rule(core, {**sections, IO: whole[:size]}) == PACK, size
    for longer in (whole + b"\0", whole + bytes(4), whole + descriptor(INT32, 2)):
        assert check_rule(core, {**sections, IO: longer}) == PACK


@pytest.mark.parametrize(("inputs", "error"), [(0, PACK), (1, 0), (2, 0), (4096, 0), (4097, PACK), (65535, PACK)])
def test_a_rule_has_1_to_4096_weights(core: CoreProcess, inputs: int, error: int) -> None:
    assert check_rule(core, rule([0] * inputs)) == error


def test_a_rule_has_as_many_weights_as_it_states_and_as_inputs(core: CoreProcess) -> None:
    sections = rule([1] * 6)
    whole = sections[THRESHOLD]
    for size in range(len(whole) + 9):
        error = check_rule(core, {**sections, THRESHOLD: (whole + bytes(8))[:size]})
        assert error == (0 if size == len(whole) else PACK), size
    for inputs in (0, 1, 5, 7, 6 + 256):
        assert check_rule(core, {**sections, IO: io(INT16, inputs)}) == PACK


def test_a_rule_without_weights_for_its_description_is_refused(core: CoreProcess) -> None:
    """Its description would be right for the weights that follow, had it any."""
    assert check_rule(core, {**rule([1]), IO: io(INT16, 0), THRESHOLD: weighted_sum([])}) == PACK


@pytest.mark.parametrize(("shift", "error"), [(0, 0), (15, 0), (16, PACK), (31, PACK), (255, PACK)])
def test_a_rule_shifts_by_at_most_15(core: CoreProcess, shift: int, error: int) -> None:
    assert check_rule(core, rule([1], shift=shift)) == error


def test_a_rule_names_a_parameter_that_it_has(core: CoreProcess) -> None:
    for count in range(4):
        for index in range(4):
            sections = {**rule([1], threshold=index), PARAMETERS: parameter(0, 0, 0) * count}
            assert check_rule(core, sections) == (0 if index < count else PACK), (count, index)
    sections = rule([1])
    del sections[PARAMETERS]
    assert check_rule(core, sections) == PACK


@pytest.mark.parametrize(("kind", "largest_input"), [(INT8, 2**7), (INT16, 2**15)])
def test_a_rule_whose_sum_may_overflow_is_refused(core: CoreProcess, kind: int, largest_input: int) -> None:
    for weights in ([100], [-100], [-128, 127, -1, 1], [0, 0], [127] * 300, [-128] * 300):
        bound = LARGEST - largest_input * sum(map(abs, weights))
        for bias in (bound, -bound):
            assert check_rule(core, rule(weights, kind, bias=bias)) == 0
        for bias in (min(bound + 1, LARGEST), max(-bound - 1, -LARGEST - 1), LARGEST, -LARGEST - 1):
            fits = abs(bias) <= bound
            assert check_rule(core, rule(weights, kind, bias=bias)) == (0 if fits else PACK), (weights, bias)
    assert check_rule(core, rule([-128] * 4096, kind)) == (0 if kind == INT8 else PACK)


@pytest.mark.parametrize(("count", "error"), [(0, PACK), (1, 0), (2, 0), (64, 0), (65, PACK), (300, PACK)])
def test_a_rule_has_1_to_64_golden_vectors(core: CoreProcess, count: int, error: int) -> None:
    assert check_rule(core, {**rule([1]), GOLDEN: golden(*[from_seed(7)] * count)}) == error


@pytest.mark.parametrize("form", [1, 63, 64, 0x100, 0x8000, 0xFFFF])
def test_a_rule_has_no_steps_and_no_digests(core: CoreProcess, form: int) -> None:
    assert check_rule(core, {**rule([1]), GOLDEN: golden(from_seed(7), form=form)}) == PACK


def test_golden_vectors_fill_their_section(core: CoreProcess) -> None:
    """Whole vectors with generated and with stored inputs, as many as stated, and nothing else."""
    stored = struct.pack("<I3h2xii", 0, 1, 2, 3, 0, 0)
    vectors = [stored, from_seed(7), from_seed(9), stored]
    sections = rule([1, 2, 3])
    whole = golden(*vectors)
    assert check_rule(core, {**sections, GOLDEN: whole}) == 0
    for size in range(len(whole)):
        assert check_rule(core, {**sections, GOLDEN: whole[:size]}) == PACK, size
    for tail in (b"\0", bytes(3), bytes(4), from_seed(7), stored):
        assert check_rule(core, {**sections, GOLDEN: whole + tail}) == PACK
    for count in (0, 1, 2, 3, 5, 6, 64):
        assert check_rule(core, {**sections, GOLDEN: struct.pack("<HH", count, 0) + whole[4:]}) == PACK, count
