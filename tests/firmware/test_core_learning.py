# SPDX-License-Identifier: Apache-2.0
"""The part that grows a forest on the device: the real core on a flash model, compared with the reference in Python."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.isolation_score import average_path_length, isolation_limit
from reconciler.compiler.pack.learn_section import encode_learn
from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.reference.forest import sums
from reconciler.compiler.reference.growing import ForestForm, leaf_table
from reconciler.devices.messages import Inquire, ReportKind, SampleSpace, encode, parse_answer
from reconciler.devices.messages import Signed as SignedAnswer
from reconciler.devices.reports import CapabilitiesBody, SamplesAttestation, parse_body
from reconciler.model import LearningStage
from tests.compiler.random_forests import forest_packs
from tests.firmware.bench import Bench, Made
from tests.firmware.host import Cut, Geometry, HostAgent, PowerCutError
from tests.firmware.learning import (
    FORM,
    RECIPE,
    SAMPLES,
    expected_forest,
    features_of,
    grown_forest,
    infer_windows,
    learning_pack,
    stored_rows,
    windows,
)
from tests.firmware.orders import NONCE, PREBAKED, Delivery, deliver, install, report
from tests.firmware.samples import attest, context_of, kept, pull, with_sample_every

ERASE = 512
LEARNS = Geometry(
    erase=ERASE,
    write=8,
    provisioned=0x1000,
    journal=0x1000,
    marks=0x800,
    slot=0x2000,
    rows=4 * ERASE,
    forest=8 * ERASE,
)
PACK = learning_pack()
LOGS = (SampleSpace.ANOMALIES, SampleSpace.NORMALS)
CAPACITY, TOO_LARGE, MALFORMED, OPERATOR, GOLDEN = -71, -74, -83, -85, -87
MakeCore = Callable[..., HostAgent]


def learning(agent: HostAgent, made: Made) -> tuple[LearningStage, int, int]:
    """Return the stage, the number of rows, and how many are anomalous, as the device signs them."""
    body = attest(agent, made, SampleSpace.ROWS, 0, 0)
    assert isinstance(body, SamplesAttestation)
    assert body.learning is not None
    return body.learning.stage, body.learning.rows, body.learning.anomalous


def capabilities(agent: HostAgent, made: Made) -> CapabilitiesBody:
    answer = parse_answer(agent.handle(encode(Inquire(ReportKind.CAPABILITIES, NONCE))))
    assert isinstance(answer, SignedAnswer)
    body = parse_body(made.open_signed(answer.cose, NONCE))
    assert isinstance(body, CapabilitiesBody)
    return body


@pytest.fixture
def learner(make_core: MakeCore, made: Made) -> HostAgent:
    agent = make_core(made.region(PACK), LEARNS)
    agent.settle()
    return agent


def test_a_forest_grows_to_the_bytes_of_the_reference(learner: HostAgent, made: Made) -> None:
    assert learning(learner, made) == (LearningStage.COLLECTING, 0, 0)
    seen = infer_windows(learner, windows(1), RECIPE.every * RECIPE.rows)
    rows = seen[RECIPE.every - 1 :: RECIPE.every]
    assert [list(row) for row in stored_rows(learner, LEARNS.write).rows] == rows
    learner.settle()
    grown = grown_forest(learner)
    assert grown.section == expected_forest(rows)
    assert learning(learner, made) == (LearningStage.GROWN, RECIPE.rows, grown.anomalous)
    forest = decode_forest(grown.section, FORM.features)
    limit = isolation_limit(FORM.subsample, FORM.trees, 0.65)
    assert grown.anomalous == sum(sums(forest, row)[0] < limit for row in rows)


def test_the_grown_forest_decides_and_the_starter_before(learner: HostAgent) -> None:
    source = windows(2)
    limit = isolation_limit(FORM.subsample, FORM.trees, 0.65)
    flat = FORM.trees * round(average_path_length(FORM.subsample) * 2048)
    for _ in range(RECIPE.every * RECIPE.rows):
        assert learner.infer(next(source)) == (0, flat)
    learner.settle()
    forest = decode_forest(grown_forest(learner).section, FORM.features)
    strange = next(windows(3, scale=20))
    for data in (next(source), next(source), strange):
        (total,) = sums(forest, features_of(data))
        assert learner.infer(data) == (int(total < limit), total)
    (total,) = sums(forest, features_of(strange))
    learner.boot()
    assert learner.infer(strange) == (int(total < limit), total)


@pytest.mark.parametrize("subsample", [2, 3, 20, 100, 256])
def test_the_leaf_table_is_that_of_scikit_learn(subsample: int) -> None:
    form = ForestForm(1, 1, subsample, 16)
    table = leaf_table(form.table_rows)
    assert len(table) >= subsample
    assert all(abs(depth - 2048 * average_path_length(n)) <= 3 for n, depth in enumerate(table, 1))


# ------------------------------------------------------------------ power cuts and restarts


def lesson(agent: HostAgent, source: Iterator[bytes]) -> None:
    """Infer until the device has grown its forest."""
    for _ in range(4 * RECIPE.every * RECIPE.rows):
        agent.infer(next(source))
        agent.settle()
        if pull(agent, SampleSpace.FOREST).data:
            return
    raise AssertionError("the forest never grows")


def test_rows_survive_restarts(learner: HostAgent, made: Made) -> None:
    source = windows(4)
    infer_windows(learner, source, 10 * RECIPE.every)
    before = stored_rows(learner, LEARNS.write)
    learner.boot()
    assert stored_rows(learner, LEARNS.write) == before
    assert learning(learner, made) == (LearningStage.COLLECTING, 10, 0)
    lesson(learner, source)
    rows = stored_rows(learner, LEARNS.write).rows
    assert rows[:10] == before.rows
    assert grown_forest(learner).section == expected_forest([list(row) for row in rows])


@pytest.mark.parametrize("cut", Cut)
def test_power_cuts_at_every_operation_of_a_lesson(make_core: MakeCore, made: Made, cut: Cut) -> None:
    """Wherever power is cut, what grows is the forest of the rows that are there: a torn one is none."""
    small = replace(FORM, trees=2, subsample=8)
    recipe = replace(RECIPE, rows=9, every=1, most_anomalous=1000)
    agent = make_core(made.region(learning_pack(small, recipe)), replace(LEARNS, rows=2 * ERASE, forest=2 * ERASE))
    for operation in itertools.count(1):
        agent.write_flash(*blank(agent, "rows"))
        agent.write_flash(*blank(agent, "forest"))
        agent.boot()
        agent.cut_after(operation, cut, operation)
        source, cuts = windows(operation), 0
        for _ in range(3 * recipe.rows):
            try:
                agent.settle()
                agent.infer(next(source))
                if pull(agent, SampleSpace.FOREST).data:
                    break
            except PowerCutError:
                cuts += 1
                agent.boot()
        stored = [list(row) for row in stored_rows(agent, LEARNS.write).rows]
        assert len(stored) == recipe.rows
        assert grown_forest(agent).section == expected_forest(stored, small, recipe)
        if not cuts:
            break
        agent.cut_after(0, cut)
    assert operation > 20
    assert agent.violations == 0


def blank(agent: HostAgent, name: str) -> tuple[int, bytes]:
    """Return where a region is, and erased flash of its size."""
    region = agent.geometry.regions()[name]
    return region.offset, b"\xff" * region.size


def test_a_damaged_forest_is_not_used_and_grows_again(learner: HostAgent, made: Made) -> None:
    lesson(learner, windows(5))
    forest = grown_forest(learner)
    region = learner.geometry.regions()["forest"]
    byte = learner.read_flash(region.offset + 200, 1)
    learner.write_flash(region.offset + 200, bytes([byte[0] ^ 4]))
    learner.boot()
    assert learning(learner, made)[0] is LearningStage.COLLECTING
    learner.settle()
    assert grown_forest(learner) == forest


# ------------------------------------------------------------------ which model, which generation


def test_an_envelope_alone_makes_it_learn_again(learner: HostAgent, bench: Bench, made: Made) -> None:
    source = windows(6)
    lesson(learner, source)
    first = grown_forest(learner)
    assert deliver(learner, Delivery(bench.configure(made, PACK, 1, {1: 7}))).code == 0
    learner.settle()
    assert learning(learner, made)[:2] == (LearningStage.COLLECTING, 0)
    flat = FORM.trees * round(average_path_length(FORM.subsample) * 2048)
    assert learner.infer(next(source)) == (0, flat)
    lesson(learner, source)
    second = grown_forest(learner)
    assert (first.lesson.generation, second.lesson.generation) == (0, 7)
    assert second.section != first.section
    assert deliver(learner, Delivery(bench.configure(made, PACK, 2, {1: 7, 0: 0}))).code == 0
    learner.settle()
    assert grown_forest(learner) == second, "a threshold is no other lesson"


def test_a_failed_trial_leaves_what_was_learned(learner: HostAgent, bench: Bench, made: Made) -> None:
    lesson(learner, windows(7))
    forest = grown_forest(learner)
    other = bytearray(learning_pack(recipe=replace(RECIPE, seed=9)))
    golden = disassemble(bytes(other)).sections[SectionId.GOLDEN]
    other[bytes(other).index(golden) + len(golden) - 1] ^= 1
    assert deliver(learner, install(bench, made, bytes(other), 1)).code == GOLDEN
    learner.settle()
    assert grown_forest(learner) == forest


def test_another_model_that_learns_begins_after_its_trial(learner: HostAgent, bench: Bench, made: Made) -> None:
    source = windows(8)
    lesson(learner, source)
    other = learning_pack(recipe=replace(RECIPE, seed=9))
    assert deliver(learner, install(bench, made, other, 1)).code == 0
    learner.settle()
    assert learning(learner, made)[:2] == (LearningStage.COLLECTING, 0)
    lesson(learner, source)
    assert grown_forest(learner).lesson.digest16 == hashlib.sha256(other).digest()[:16]


def test_a_forest_that_finds_its_own_rows_anomalous_is_discarded(make_core: MakeCore, made: Made) -> None:
    pack = learning_pack(recipe=replace(RECIPE, most_anomalous=900), threshold=0.1)
    agent = make_core(made.region(pack), LEARNS)
    agent.settle()
    infer_windows(agent, windows(9), RECIPE.every * RECIPE.rows)
    agent.settle()
    assert learning(agent, made) == (LearningStage.DISCARDED, RECIPE.rows, RECIPE.rows)
    assert pull(agent, SampleSpace.FOREST).data == b""
    erased = agent.units_erased
    agent.boot()
    agent.settle()
    assert learning(agent, made)[0] is LearningStage.DISCARDED
    assert agent.units_erased == erased, "it would be discarded again"


def test_a_forest_that_does_not_fit_its_region_is_discarded(make_core: MakeCore, made: Made) -> None:
    form = replace(FORM, trees=40)
    agent = make_core(made.region(learning_pack(form)), replace(LEARNS, forest=2 * ERASE))
    agent.settle()
    infer_windows(agent, windows(10), RECIPE.every * RECIPE.rows)
    agent.settle()
    assert learning(agent, made)[0] is LearningStage.DISCARDED
    assert report(agent, made).error == CAPACITY
    assert agent.violations == 0


# ------------------------------------------------------------------ packs that can't learn here


def test_a_device_without_the_regions_refuses_the_pack(make_core: MakeCore, bench: Bench, made: Made) -> None:
    agent = make_core(made.region(PREBAKED), replace(LEARNS, rows=0, forest=0))
    assert deliver(agent, install(bench, made, PACK, 1)).code == OPERATOR
    agent = make_core(made.region(PREBAKED), replace(LEARNS, rows=ERASE))
    assert deliver(agent, install(bench, made, learning_pack(recipe=replace(RECIPE, rows=31)), 1)).code == TOO_LARGE
    assert deliver(agent, install(bench, made, PACK, 2)).code == 0
    assert capabilities(agent, made).operators[2] & 0b1100 == 0b1000, "LEARN without SAMPLES"


HOSTILE: dict[str, dict[str, Any]] = {
    "fewer rows than a tree takes": {"rows": FORM.subsample - 1},
    "too many rows": {"rows": 4097},
    "no window is a row": {"every": 0},
    "no seed": {"seed": 0},
    "more than all rows": {"most_anomalous": 1001},
}


def replace_section(pack: bytes, section: SectionId, data: bytes, *, arena_bytes: int | None = None) -> bytes:
    """Return the pack with another section, as a hostile builder makes it."""
    opened = disassemble(pack)
    arena = opened.arena_bytes if arena_bytes is None else arena_bytes
    return assemble(replace(opened, arena_bytes=arena, sections={**opened.sections, section: data}))


def hostile_packs() -> dict[str, bytes]:
    """Return packs whose section LEARN no device may accept."""
    encoded = encode_learn(RECIPE)
    packs = {
        name: replace_section(PACK, SectionId.LEARN, encode_learn(replace(RECIPE, **change)))
        for name, change in HOSTILE.items()
    }
    packs["a byte missing"] = replace_section(PACK, SectionId.LEARN, encoded[:-1])
    packs["a byte more"] = replace_section(PACK, SectionId.LEARN, encoded + b"\0")
    packs["zero is not zero"] = replace_section(PACK, SectionId.LEARN, encoded[:-1] + b"\1")
    packs["empty"] = replace_section(PACK, SectionId.LEARN, b"")
    packs["no arena to grow in"] = replace_section(PACK, SectionId.LEARN, encoded, arena_bytes=119)
    forest = disassemble(PACK).sections[SectionId.FOREST]
    for subsample in (0, 1, 257):
        wrong = forest[:14] + subsample.to_bytes(2, "little") + forest[16:]
        packs[f"{subsample} samples a tree"] = replace_section(PACK, SectionId.FOREST, wrong, arena_bytes=4096)
    opened = disassemble(forest_packs()["forest classification"])
    packs["classes"] = assemble(
        replace(opened, arena_bytes=4096, sections={**opened.sections, SectionId.LEARN: encoded})
    )
    return packs


@pytest.mark.parametrize("name", hostile_packs())
def test_hostile_sections_are_refused_by_both_sides(name: str, make_core: MakeCore, bench: Bench, made: Made) -> None:
    pack = hostile_packs()[name]
    with pytest.raises(PackMalformed):
        check_pack(pack)
    agent = make_core(made.region(PREBAKED), LEARNS)
    assert deliver(agent, install(bench, made, pack, 1)).code == MALFORMED


def test_samples_of_the_grown_forest_have_a_context_of_their_own(make_core: MakeCore, made: Made) -> None:
    pack = with_sample_every(PACK, 1)
    agent = make_core(made.region(pack), replace(LEARNS, anomalies=4 * ERASE, normals=4 * ERASE))
    agent.set_sampling(1 << 20, 1)
    agent.boot()
    agent.settle()
    source = windows(11)
    agent.infer(next(source))
    assert kept(agent, SampleSpace.NORMALS)[0].context == context_of(pack)
    lesson(agent, source)
    agent.infer(bytes(2 * SAMPLES))
    expected = hashlib.sha256(hashlib.sha256(pack).digest() + bytes(4) + grown_forest(agent).sha256).digest()[:4]
    newest = [max(kept(agent, space), key=lambda record: record.windows, default=None) for space in LOGS]
    assert expected in {record.context for record in newest if record}
