# SPDX-License-Identifier: Apache-2.0
"""The knowledge base keeps what was attested, once, through kills and damage, and shows it to nobody else."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.knowledge.reader import NoKnowledge, read_knowledge
from reconciler.knowledge.records import LogPosition, Round, SampleContext
from reconciler.knowledge.schema import KnowledgeUnusable
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import DeviceId, Digest, ModelRef, Version
from reconciler.model.contests import KnowledgeBounds
from reconciler.model.samples import SampleLog
from tests.knowledge.knowledge_samples import (
    CONTEST,
    NOON,
    PUMP,
    STEP,
    batch,
    batch_of,
    candidate,
    learned,
    sample,
    voter,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "knowledge.db"


def stored(knowledge: KnowledgeWriter) -> list[int]:
    return [each.sample.offset // STEP for each in knowledge.samples_after(CONTEST, 0, 10_000)]


def test_samples_are_read_back_as_they_were(path: Path) -> None:
    samples = [sample(0), sample(1, window=None, element_type=0), sample(2, features=())]
    knowledge = KnowledgeWriter(path)
    assert knowledge.ingest(batch(0, *samples)) == 3
    knowledge.close()
    again = KnowledgeWriter(path)
    assert [each.sample for each in again.samples_after(CONTEST, 0, 10)] == samples
    assert again.position(PUMP, SampleLog.ANOMALIES) == LogPosition(3 * STEP)
    assert again.position(PUMP, SampleLog.NORMALS) == LogPosition()
    again.close()


def test_a_range_counts_once_however_often_it_is_fetched(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    first = batch(0, sample(0), sample(1))
    assert [knowledge.ingest(first) for _ in range(3)] == [2, 0, 0]
    assert knowledge.ingest(batch(0, sample(0), sample(1), sample(2))) == 0  # fetched before the cursor moved
    assert knowledge.ingest(batch(2 * STEP, sample(1), sample(2))) == 1  # a sample is stored once
    assert stored(knowledge) == [0, 1, 2]
    knowledge.close()


def test_the_same_offset_after_another_boot_is_another_sample(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.ingest(batch(0, sample(0)))
    assert knowledge.ingest(batch(STEP, sample(0, boots=4))) == 1
    knowledge.close()


def test_the_file_is_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        knowledge = KnowledgeWriter(path)
        knowledge.ingest(batch(0, sample(0)))
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert files == dict.fromkeys(["knowledge.db", "knowledge.db-wal", "knowledge.db-shm"], 0o600)
        copy = path.with_name("copy.db")
        knowledge.copy_to(copy)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        knowledge.close()
    finally:
        os.umask(before)


def test_a_commit_is_on_the_disk(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    assert knowledge._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert knowledge._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    knowledge.close()


KILLED = """
import sys
from pathlib import Path
from reconciler.knowledge.writer import KnowledgeWriter
from tests.knowledge.knowledge_samples import batch, sample, STEP
knowledge = KnowledgeWriter(Path(sys.argv[1]))
for number in range(10_000):
    knowledge.ingest(batch(number * STEP, sample(number)))
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [0, 3, 17])
def test_a_kill_loses_nothing_that_was_committed(path: Path, after: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == after:
            break
    child.send_signal(signal.SIGKILL)
    last = max([after, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    child.stdout.close()
    knowledge = KnowledgeWriter(path)
    cursor = knowledge.position(PUMP, SampleLog.ANOMALIES).offset // STEP
    assert knowledge.recovered is None
    assert stored(knowledge) == list(range(cursor))
    assert cursor > last
    knowledge.close()


def test_a_device_has_one_forest_which_is_forgotten_with_its_samples(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    other = learned(2, DeviceId("pump-2"))
    for each in (learned(1), other, learned(3)):
        knowledge.save_learned(each)
    knowledge.close()
    again = KnowledgeWriter(path)
    assert again.learned_forests() == [learned(3), other]
    assert again.learned_forest(PUMP) == learned(3)
    again.forget(PUMP)
    assert again.learned_forests() == [other]
    again.close()


def test_a_damaged_file_is_set_aside_and_a_new_one_begins(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.ingest(batch_of(200))
    knowledge.close()
    data = bytearray(path.read_bytes())
    data[4096:12288] = random.Random(1).randbytes(8192)
    path.write_bytes(data)
    again = KnowledgeWriter(path)
    assert again.recovered is not None
    assert stored(again) == []
    assert again.ingest(batch_of(2)) == 2
    assert path.with_name("knowledge.db.damaged").read_bytes() == bytes(data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.close()


def test_a_file_of_a_newer_release_is_set_aside(path: Path) -> None:
    KnowledgeWriter(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    knowledge = KnowledgeWriter(path)
    assert knowledge.recovered == "made by a newer release (version 99)"
    knowledge.close()


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KnowledgeUnusable, match="check the folder's owner"):
        KnowledgeWriter(tmp_path / "file" / "knowledge.db")


def test_a_backup_is_consistent_while_samples_arrive(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == 20:
            break
    copy = path.with_name("copy.db")
    with read_knowledge(path, daemon_runs=True) as reader:
        reader.copy_to(copy)
    child.kill()
    child.wait()
    child.stdout.close()
    with read_knowledge(copy, daemon_runs=False) as reader:
        numbers = [each.sample.offset // STEP for each in reader.samples_after(CONTEST, 0, 10_000)]
        assert numbers == list(range(reader.position(PUMP, SampleLog.ANOMALIES).offset // STEP))
    assert len(numbers) > 20


def test_there_is_nothing_to_read_yet(path: Path) -> None:
    with pytest.raises(NoKnowledge, match="does not exist"), read_knowledge(path, daemon_runs=False):
        pass


def test_votes_are_kept_once_for_each_voter(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.ingest(batch_of(3))
    first, second, third = (each.id for each in knowledge.samples_after(CONTEST, 0, 10))
    knowledge.save_votes(CONTEST, {voter(1): {first: True, second: None}}, second)
    knowledge.save_votes(CONTEST, {voter(1): {first: False, third: True}}, third)
    knowledge.save_votes(CONTEST, {voter(2, None): {first: False}}, first)
    knowledge.save_votes(CONTEST, {voter(2, None): {first: True}}, first)
    assert [knowledge.voted_up_to(CONTEST, each) for each in (voter(1), voter(2, None), voter(3))] == [third, first, 0]
    voted = knowledge.voted_samples(CONTEST, [voter(1), voter(2, None), voter(3)], 100)
    assert [each.votes for each in voted] == [
        {candidate(1): False, candidate(2, None): True},
        {candidate(1): None},
        {candidate(1): True},
    ]
    assert [each.votes for each in knowledge.voted_samples(CONTEST, [voter(2, None)], 1)] == [{}]
    assert knowledge.votes(CONTEST) == {each.id: each.votes for each in voted}
    knowledge.close()


def test_another_source_of_the_same_version_is_another_voter(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.ingest(batch_of(1))
    knowledge.save_votes(CONTEST, {voter(1): {1: True}}, 1)
    assert knowledge.voted_up_to(CONTEST, replace(voter(1), source="changed")) == 0
    assert knowledge.voted_samples(CONTEST, [replace(voter(1), source="changed")], 10)[0].votes == {}
    knowledge.close()


def test_a_label_and_a_context_are_kept(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.ingest(batch_of(2))
    assert knowledge.label(2, "Ada", NOON, anomalous=False)
    assert not knowledge.label(99, "Ada", NOON, anomalous=True)
    assert [each.label for each in knowledge.voted_samples(CONTEST, [], 10)] == [None, False]
    context = SampleContext(b"ctx1", ModelRef("forest", Version("1.0.0")), Digest("a" * 64), {"threshold": 0.6})
    knowledge.save_context(context)
    assert knowledge.contexts() == {b"ctx1": context}
    knowledge.close()


def test_a_device_is_forgotten_down_to_the_last_byte(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    secret = b"this machine's own vibration"
    knowledge.ingest(batch(0, sample(0, window=secret), sample(1, window=secret)))
    other = DeviceId("pump-2")
    knowledge.ingest(batch(0, sample(0, device=other)))
    knowledge.save_votes(CONTEST, {voter(1): {1: True, 3: True}}, 3)
    knowledge.label(1, "Ada", NOON, anomalous=True)
    assert knowledge.forget(PUMP) == 2
    assert [each.device for each in knowledge.voted_samples(CONTEST, [voter(1)], 10)] == [other]
    assert knowledge.counts(CONTEST).labelled == 0
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret not in files
    assert knowledge.position(PUMP, SampleLog.ANOMALIES).offset == 2 * STEP  # and it is not fetched again
    knowledge.close()


def test_rounds_and_proposals(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    knowledge.begin_round(CONTEST, Round(candidate(1, None), NOON, proposed=True))
    knowledge.save_proposal(CONTEST, candidate(2), NOON)
    knowledge.close()
    knowledge = KnowledgeWriter(path)
    assert knowledge.rounds(CONTEST) == [Round(candidate(1, None), NOON, proposed=True)]
    assert knowledge.kept_since(NOON) == NOON
    assert knowledge.kept_since(NOON + timedelta(days=1)) == NOON
    proposal = knowledge.proposal(CONTEST)
    assert proposal is not None
    assert (proposal.candidate, proposal.at) == (candidate(2), NOON)
    knowledge.decline(CONTEST, candidate(2), NOON)
    assert knowledge.proposal(CONTEST) is None
    assert [each.candidate for each in knowledge.declined(CONTEST)] == [candidate(2)]
    knowledge.save_proposal(CONTEST, candidate(3), NOON)
    knowledge.settle_proposal(CONTEST)
    assert knowledge.proposal(CONTEST) is None
    knowledge.close()


def test_counts(path: Path) -> None:
    knowledge = KnowledgeWriter(path)
    assert knowledge.counts(CONTEST).samples == 0
    assert knowledge.contests() == []
    knowledge.ingest(batch_of(3))
    knowledge.ingest(batch_of(2, SampleLog.NORMALS))
    counts = knowledge.counts(CONTEST)
    assert (counts.samples, counts.anomalies, counts.oldest) == (5, 3, NOON)
    assert counts.bytes > 5 * 20
    assert knowledge.contests() == [CONTEST]
    assert knowledge.last_sample(CONTEST) == 5
    assert knowledge.thin(CONTEST, KnowledgeBounds(), NOON) == 0
    knowledge.close()
