# SPDX-License-Identifier: Apache-2.0
"""The windows of a training come from the knowledge base: with a truth, of one layout, and the same each time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.compiler.pool.messages import WindowLayout
from reconciler.compiler.training.snapshot import SnapshotLayout, decode_snapshot
from reconciler.engine.trainings.gathering import GatheredWindows, gather_windows, layout_by_context, layout_by_size
from reconciler.knowledge.records import LogPosition, SampleBatch, SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import (
    CandidateRules,
    Contest,
    Digest,
    ModelPool,
    ModelRef,
    Persistence,
    RolloutId,
    SearchSpace,
    TrainingData,
    TrainingMethod,
    Version,
)
from reconciler.model.samples import Sample, SampleLog
from reconciler.training.selection import RowUse, count
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, NOON, PUMP, STEP, sample, voter
from tests.training.documents import training

POOL = ModelPool(quorum=2)
RULES = Contest(CONTEST, RolloutId("pumps"), CandidateRules(("forest",)), pool=POOL)
VOTERS = tuple(voter(number) for number in (1, 2, 3))
CANDIDATES = frozenset(each.candidate for each in VOTERS)
WANTED = training(contest=CONTEST, data=TrainingData(holdout=40))
LAYOUTS = {CONTEXT: WindowLayout(2, scale=0.5, samples=2, channels=2)}
OTHER = b"ctx2"


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[KnowledgeWriter]:
    made = KnowledgeWriter(tmp_path / "knowledge.db")
    for context in (CONTEXT, OTHER):
        model = ModelRef("forest", Version("1.0.1"))
        made.save_context(SampleContext(context, model, Digest("ab" * 32), {"threshold": 0.6}))
    yield made
    made.close()


def store(knowledge: KnowledgeWriter, *samples: Sample) -> None:
    position = LogPosition((samples[-1].offset // STEP + 1) * STEP)
    before = knowledge.position(PUMP, samples[0].log).offset
    knowledge.ingest(SampleBatch(CONTEST, PUMP, samples[0].log, before, position, samples))


def vote(knowledge: KnowledgeWriter, **anomalous: tuple[bool, ...]) -> None:
    """Have every voter vote; `anomalous` has what each of them says of the samples, by their numbers."""
    last = knowledge.last_sample(CONTEST)
    for place, who in enumerate(VOTERS):
        votes = {number: anomalous.get(f"s{number}", (False,) * 3)[place] for number in range(1, last + 1)}
        knowledge.save_votes(CONTEST, {who: votes}, last)


def gathered(knowledge: KnowledgeWriter) -> GatheredWindows:
    now = NOON + timedelta(hours=1)
    return gather_windows(knowledge, RULES, CANDIDATES, WANTED, layout_of=layout_by_context(LAYOUTS), now=now)


def test_windows_have_the_truth_of_the_pool_or_of_a_person(knowledge: KnowledgeWriter) -> None:
    store(knowledge, *[sample(number, SampleLog.NORMALS) for number in range(10)])
    vote(knowledge, s2=(True, True, True), s4=(True, False, True), s5=(True, True, False))
    knowledge.label(5, "ada", NOON, anomalous=False)
    found = gathered(knowledge)
    assert {row.number: row.anomalous for row in found.rows} == {
        **dict.fromkeys((1, 3, 5, 6, 7, 8, 9, 10), False),
        **dict.fromkeys((2, 4), True),
    }
    assert [row.number for row in found.rows if row.use is RowUse.EVALUATE] == [2, 4, 8, 9, 10]
    assert found.last_sample == 10
    assert all(row.weight == 100 for row in found.rows)


def test_what_passes_for_the_contest_is_left_out_unless_the_training_says_otherwise(knowledge: KnowledgeWriter) -> None:
    store(knowledge, *[sample(number, SampleLog.NORMALS) for number in range(10)])
    vote(knowledge, s2=(True, True, True))
    now, layout_of = NOON + timedelta(hours=1), layout_by_context(LAYOUTS)
    lasting, brief = Persistence(3), Persistence(2)
    for of_contest, of_training, numbers in (
        (lasting, None, {1, *range(3, 11)}),  # and is not a normal window either
        (None, brief, {1, *range(3, 11)}),
        (None, None, set(range(1, 11))),
    ):
        contest = replace(RULES, pool=replace(POOL, persistence=of_contest))
        wanted = replace(WANTED, data=replace(WANTED.data, persistence=of_training))
        found = gather_windows(knowledge, contest, CANDIDATES, wanted, layout_of=layout_of, now=now)
        assert {each.number for each in found.rows} == numbers
        assert {each.number for each in found.rows if each.anomalous} == numbers & {2}


def test_a_snapshot_has_the_windows_in_the_order_of_its_rows(knowledge: KnowledgeWriter) -> None:
    store(knowledge, *[sample(number, SampleLog.NORMALS) for number in range(6)])
    vote(knowledge)
    made = gathered(knowledge).snapshot()
    assert made.layout == SnapshotLayout(2, 2, 0.5)
    assert [window.tolist() for window in made.window_table()] == [[number, -1, 2, -3] for number in range(6)]
    assert decode_snapshot(made.encoded).sha256 == gathered(knowledge).snapshot().sha256


def test_what_cannot_be_trained_on_is_left_out_and_counted(knowledge: KnowledgeWriter) -> None:
    store(
        knowledge,
        sample(0, SampleLog.NORMALS),
        sample(1, SampleLog.NORMALS, window=None, element_type=0),
        sample(2, SampleLog.NORMALS, window=b"abcd", element_type=1),  # int8, which no forest reads
        sample(3, SampleLog.NORMALS, window=struct.pack("<2h", 1, 2)),  # as many bytes as no window of this pack
        sample(4, SampleLog.NORMALS, context=OTHER),  # of a pack that is gone
        sample(5, SampleLog.NORMALS),
    )
    vote(knowledge)
    found = gathered(knowledge)
    assert [row.number for row in found.rows] == [1, 6]
    assert found.unusable == 4


def test_networks_read_the_windows_that_forests_do_not(knowledge: KnowledgeWriter) -> None:
    store(knowledge, sample(0, SampleLog.NORMALS), sample(1, SampleLog.NORMALS, window=b"ab", element_type=1))
    vote(knowledge)
    layouts = {CONTEXT: WindowLayout(1, scale=0.5, zero_point=-3)}
    network = training(contest=CONTEST, try_=(SearchSpace(TrainingMethod.KERAS),), data=TrainingData(holdout=40))
    for layout_of, expected in (
        (layout_by_context(layouts), SnapshotLayout(2, 1, 0.5, 1, -3)),
        (layout_by_size, SnapshotLayout(2, 1, 1.0, 1)),
    ):
        found = gather_windows(
            knowledge, RULES, CANDIDATES, network, layout_of=layout_of, now=NOON + timedelta(hours=1)
        )
        assert (found.layout, found.windows, found.unusable) == (expected, {2: b"ab"}, 1)


def test_windows_are_counted_without_their_packs(knowledge: KnowledgeWriter) -> None:
    store(knowledge, *[sample(number, SampleLog.NORMALS) for number in range(10)])
    vote(knowledge)
    now = NOON + timedelta(hours=1)
    found = gather_windows(knowledge, RULES, CANDIDATES, WANTED, layout_of=layout_by_size, now=now)
    assert count(found.rows) == count(gathered(knowledge).rows)


def test_without_a_window_there_is_no_snapshot(knowledge: KnowledgeWriter) -> None:
    found = gathered(knowledge)
    assert (found.rows, found.layout, found.last_sample) == ((), None, 0)
    with pytest.raises(ValueError, match="no windows"):
        found.snapshot()
