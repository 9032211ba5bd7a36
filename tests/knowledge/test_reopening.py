# SPDX-License-Identifier: Apache-2.0
"""A knowledge base with rows in every table is opened again without being taken for damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.knowledge.records import Round, SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Digest
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, NOON, batch_of, candidate, learned, voter


def fill(knowledge: KnowledgeWriter, threshold: float | None) -> None:
    """Put rows into every table."""
    later = NOON + timedelta(hours=1)
    knowledge.kept_since(NOON)
    knowledge.save_context(SampleContext(CONTEXT, candidate(1).model, Digest("ab" * 32), {"threshold": 0.6}))
    knowledge.ingest(batch_of(3))
    (first, *_) = knowledge.samples_after(CONTEST, 0, 9)
    knowledge.label(first.id, "ada", NOON, anomalous=False)
    knowledge.save_votes(
        CONTEST, {voter(1, threshold): {first.id: True}, voter(2, threshold): {first.id: None}}, first.id
    )
    for number, at in ((1, NOON), (2, later)):
        knowledge.begin_round(CONTEST, Round(candidate(number, threshold), at, proposed=True))
        knowledge.decline(CONTEST, candidate(number, threshold), at)
    knowledge.save_proposal(CONTEST, candidate(3, threshold), later)
    knowledge.save_learned(learned(1))


@pytest.mark.parametrize("threshold", [0.6, None])
def test_every_table_survives_a_restart(tmp_path: Path, threshold: float | None) -> None:
    path = tmp_path / "knowledge.db"
    with closing(KnowledgeWriter(path)) as knowledge:
        fill(knowledge, threshold)
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        empty = [name for name in tables if not db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]]  # noqa: S608
        assert empty == []
    with closing(KnowledgeWriter(path)) as again:
        assert again.recovered is None
        assert [each.candidate for each in again.declined(CONTEST)] == [
            candidate(1, threshold),
            candidate(2, threshold),
        ]


def test_a_candidate_may_be_reconsidered(tmp_path: Path) -> None:
    with closing(KnowledgeWriter(tmp_path / "knowledge.db")) as knowledge:
        fill(knowledge, 0.6)
        knowledge.reconsider(CONTEST, candidate(2, None))
        assert len(knowledge.declined(CONTEST)) == 2
        knowledge.reconsider(CONTEST, candidate(2, 0.6))
        assert [each.candidate for each in knowledge.declined(CONTEST)] == [candidate(1, 0.6)]
