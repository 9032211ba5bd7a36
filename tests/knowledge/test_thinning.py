# SPDX-License-Identifier: Apache-2.0
"""A knowledge base stays within its bounds, and what it has stands for all that it had."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.knowledge.thinning import evenly_chosen
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import DeviceId
from reconciler.model.contests import KnowledgeBounds
from reconciler.model.samples import Sample, SampleLog
from tests.knowledge.knowledge_samples import CONTEST, NOON, STEP, batch_of

OTHER = DeviceId("pump-2")


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[KnowledgeWriter]:
    """600 anomalies and 400 normals of each of two devices."""
    opened = KnowledgeWriter(tmp_path / "knowledge.db")
    for device in (DeviceId("pump-1"), OTHER):
        opened.ingest(batch_of(600, SampleLog.ANOMALIES, device))
        opened.ingest(batch_of(400, SampleLog.NORMALS, device))
    yield opened
    opened.close()


def of(knowledge: KnowledgeWriter, log: SampleLog, device: DeviceId = OTHER) -> list[Sample]:
    return [
        each.sample
        for each in knowledge.samples_after(CONTEST, 0, 10_000)
        if each.sample.log is log and each.sample.device == device
    ]


def weight(knowledge: KnowledgeWriter, log: SampleLog) -> int:
    return sum(sample.weight for sample in of(knowledge, log))


def test_normals_go_first_and_evenly(knowledge: KnowledgeWriter) -> None:
    knowledge.thin(CONTEST, KnowledgeBounds(windows=1_600), NOON)
    assert knowledge.counts(CONTEST).samples == 1_520
    assert len(of(knowledge, SampleLog.ANOMALIES)) == 600
    left = [sample.offset // STEP for sample in of(knowledge, SampleLog.NORMALS)]
    assert len(left) == 160
    assert max(b - a for a, b in pairwise(left)) <= 4


def test_what_is_left_stands_for_what_is_gone(knowledge: KnowledgeWriter) -> None:
    before = weight(knowledge, SampleLog.NORMALS)
    for windows in (1_900, 1_500, 1_300):
        knowledge.thin(CONTEST, KnowledgeBounds(windows=windows), NOON)
    assert weight(knowledge, SampleLog.NORMALS) == before
    assert len(of(knowledge, SampleLog.NORMALS)) < 40


def test_labelled_samples_are_kept_longest(knowledge: KnowledgeWriter) -> None:
    for number in (1, 5, 700):
        assert knowledge.label(number, "Ada", NOON, anomalous=True)
    knowledge.thin(CONTEST, KnowledgeBounds(windows=10), NOON)
    counts = knowledge.counts(CONTEST)
    assert (counts.samples, counts.labelled) == (9, 3)
    assert counts.anomalies >= 8


def test_bytes_are_bounded(knowledge: KnowledgeWriter) -> None:
    bound = knowledge.counts(CONTEST).bytes // 3
    knowledge.thin(CONTEST, KnowledgeBounds(bytes=bound), NOON)
    assert 0.9 * bound < knowledge.counts(CONTEST).bytes <= bound


def test_what_is_too_old_is_deleted_even_if_it_is_labelled(knowledge: KnowledgeWriter) -> None:
    knowledge.label(1, "Ada", NOON, anomalous=True)
    assert knowledge.thin(CONTEST, KnowledgeBounds(age_s=3600), NOON + timedelta(hours=1, seconds=100)) == 400
    assert {sample.offset // STEP for sample in of(knowledge, SampleLog.NORMALS)} == set(range(100, 400))
    assert knowledge.counts(CONTEST).labelled == 0


@given(count=st.integers(0, 500), wanted=st.integers(0, 600))
def test_choices_are_even(count: int, wanted: int) -> None:
    chosen = evenly_chosen(count, wanted)
    assert len(set(chosen)) == len(chosen) == min(count, wanted)
    assert all(0 <= each < count for each in chosen)
    gaps = [b - a for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
