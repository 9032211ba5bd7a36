# SPDX-License-Identifier: Apache-2.0
"""Typed reading from the knowledge base. Commands read it while a daemon writes."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from reconciler import sqlite_file
from reconciler.errors import Unusable
from reconciler.knowledge import schema
from reconciler.knowledge.records import (
    DatedCandidate,
    KnowledgeCounts,
    LearnedForest,
    LogPosition,
    Round,
    SampleContext,
    StoredSample,
    VotedSample,
    Voter,
)
from reconciler.model import ContestId, DeviceId, Digest, ModelRef, Version
from reconciler.model.contests import Candidate
from reconciler.model.samples import Sample, SampleLog
from reconciler.sqlite_file import DatabaseReader, Value

NEWEST_SAMPLE = 2**63 - 1  # no sample has a greater number
SAMPLE_COLUMNS = (
    "device, log, offset, boots, uptime_ms, inferences, score, anomalous, skipped, context, weight, received_at, "
    "element_type, features, window"
)


class NoKnowledge(Unusable):
    """There is no knowledge base, or it can't be read."""

    reason: ClassVar[str] = "NoKnowledge"


class KnowledgeReader(DatabaseReader):
    """All questions that are put to the knowledge base."""

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy that only its owner can read, whatever a writer does meanwhile."""
        path.touch(mode=0o600, exist_ok=False)
        super().copy_to(path)

    # ------------------------------------------------------------ samples

    def position(self, device: DeviceId, log: SampleLog) -> LogPosition:
        """Return how far a device's log was read."""
        rows = self._rows(
            "SELECT offset, lost_bytes, unreadable_bytes FROM position WHERE device = ? AND log = ?", (device, log)
        )
        return LogPosition(*rows[0]) if rows else LogPosition()

    def positions(self) -> dict[tuple[DeviceId, SampleLog], LogPosition]:
        """Return how far each log of each device was read."""
        rows = self._rows("SELECT device, log, offset, lost_bytes, unreadable_bytes FROM position")
        return {(DeviceId(device), SampleLog(log)): LogPosition(*rest) for device, log, *rest in rows}

    def contexts(self) -> dict[bytes, SampleContext]:
        """Return which models made the samples."""
        rows = self._rows("SELECT context, model, version, digest, parameters FROM context")
        return {
            context: SampleContext(context, ModelRef(model, Version(version)), Digest(digest), json.loads(parameters))
            for context, model, version, digest, parameters in rows
        }

    def samples_after(self, contest: ContestId, last: int, count: int) -> list[StoredSample]:
        """Return the next samples of a contest, in the order in which they were stored."""
        rows = self._rows(
            f"SELECT id, {SAMPLE_COLUMNS} FROM sample WHERE contest = ? AND id > ? ORDER BY id LIMIT ?",  # noqa: S608 - constants
            (contest, last, count),
        )
        return [StoredSample(number, _sample(row)) for number, *row in rows]

    def last_sample(self, contest: ContestId) -> int:
        """Return the number of the newest sample; 0: there is none."""
        ((newest,),) = self._rows("SELECT coalesce(max(id), 0) FROM sample WHERE contest = ?", (contest,))
        return int(newest)

    def count_after(self, contest: ContestId, last: int) -> int:
        """Count the samples of a contest that were stored after one of them."""
        ((found,),) = self._rows("SELECT count(*) FROM sample WHERE contest = ? AND id > ?", (contest, last))
        return int(found)

    def counts(self, contest: ContestId) -> KnowledgeCounts:
        """Count what is known for a contest."""
        ((samples, anomalies, size, oldest, newest),) = self._rows(
            f"SELECT count(*), coalesce(sum(anomalous), 0), coalesce(sum({schema.SAMPLE_BYTES}), 0), min(received_at), "  # noqa: S608 - a constant
            "max(received_at) FROM sample WHERE contest = ?",
            (contest,),
        )
        ((labelled,),) = self._rows(
            "SELECT count(*) FROM label JOIN sample ON sample.id = label.sample WHERE contest = ?", (contest,)
        )
        return KnowledgeCounts(samples, anomalies, labelled, size, _time_or_none(oldest), _time_or_none(newest))

    def contests(self) -> list[ContestId]:
        """Return the contests that samples were collected for."""
        return [ContestId(name) for (name,) in self._rows("SELECT DISTINCT contest FROM sample ORDER BY contest")]

    def learned_forests(self) -> list[LearnedForest]:
        """Return the forest of each device that has grown one, by the names of the devices."""
        rows = self._rows(
            "SELECT device, contest, model, version, digest, generation, sha256, rows, anomalous, pack, received_at "
            "FROM learned ORDER BY device"
        )
        return [
            LearnedForest(
                DeviceId(device),
                ContestId(contest),
                ModelRef(model, Version(version)),
                Digest(digest),
                generation,
                sha256,
                count,
                anomalous,
                pack,
                datetime.fromtimestamp(received_at, UTC),
            )
            for device, contest, model, version, digest, generation, sha256, count, anomalous, pack, received_at in rows
        ]

    def learned_forest(self, device: DeviceId) -> LearnedForest | None:
        """Return the forest that a device has grown; None: none is known."""
        return next((each for each in self.learned_forests() if each.device == device), None)

    # ------------------------------------------------------------ votes

    def voted_up_to(self, contest: ContestId, voter: Voter) -> int:
        """Return the last sample that a voter has voted on."""
        rows = self._rows(
            "SELECT last_sample FROM progress JOIN voter ON voter.id = progress.voter WHERE contest = ? AND model = ? "
            "AND version = ? AND threshold IS ? AND source = ?",
            (contest, *voter_row(voter)),
        )
        return int(rows[0][0]) if rows else 0

    def voters(self, contest: ContestId) -> list[Voter]:
        """Return who has voted in a contest: of each candidate, the one that was made of the newest source."""
        rows = self._rows(
            "SELECT model, version, threshold, source FROM voter JOIN progress ON progress.voter = voter.id "
            "WHERE contest = ? ORDER BY voter.id",
            (contest,),
        )
        newest = {candidate: source for *row, source in rows for candidate in (_candidate(row),)}
        return [Voter(candidate, source) for candidate, source in newest.items()]

    def voted_samples(self, contest: ContestId, voters: Collection[Voter], newest: int) -> list[VotedSample]:
        """Return the newest samples of a contest with the votes of these voters, in the order of their storing."""
        rows = self._rows(
            "SELECT id FROM sample WHERE contest = ? ORDER BY id DESC LIMIT 1 OFFSET ?", (contest, newest)
        )
        after = rows[0][0] if rows else 0
        votes = self._votes(contest, voters, after)
        rows = self._rows(
            "SELECT id, device, log, received_at, weight, context, sample.anomalous, label.anomalous FROM sample "
            "LEFT JOIN label ON label.sample = sample.id WHERE contest = ? AND id > ? ORDER BY id",
            (contest, after),
        )
        return [
            VotedSample(
                number,
                DeviceId(device),
                SampleLog(log),
                _time(received_at),
                weight,
                context,
                bool(anomalous),
                None if label is None else bool(label),
                votes.get(number, {}),
            )
            for number, device, log, received_at, weight, context, anomalous, label in rows
        ]

    def votes(
        self, contest: ContestId, after: int = 0, last: int = NEWEST_SAMPLE
    ) -> dict[int, dict[Candidate, bool | None]]:
        """Return all votes on samples of a contest, by the number of the sample; None: abstained.

        Without limits these are millions in a full knowledge base: read them in parts, as `samples_after` does.
        """
        rows = self._rows(
            "SELECT verdict.sample, model, version, threshold, vote FROM sample "
            "JOIN verdict ON verdict.sample = sample.id JOIN voter ON voter.id = voter "
            "WHERE contest = ? AND sample.id > ? AND sample.id <= ? ORDER BY verdict.sample, voter",
            (contest, after, last),
        )
        found: dict[int, dict[Candidate, bool | None]] = {}
        for sample, *candidate, vote in rows:
            found.setdefault(sample, {})[_candidate(candidate)] = None if vote is None else bool(vote)
        return found

    def labels(self, contest: ContestId, after: int, last: int) -> dict[int, bool]:
        """Return what people said of samples of a contest, by the number of the sample."""
        rows = self._rows(
            "SELECT sample.id, label.anomalous FROM sample JOIN label ON label.sample = sample.id "
            "WHERE contest = ? AND sample.id > ? AND sample.id <= ?",
            (contest, after, last),
        )
        return {sample: bool(anomalous) for sample, anomalous in rows}

    def _votes(
        self, contest: ContestId, voters: Collection[Voter], after: int
    ) -> dict[int, dict[Candidate, bool | None]]:
        names = {number: voter.candidate for voter in voters for number in self._voter_number(voter)}
        marks = ", ".join("?" * len(names))
        rows = self._rows(
            "SELECT verdict.sample, voter, vote FROM sample JOIN verdict ON verdict.sample = sample.id "  # noqa: S608 - only question marks
            f"WHERE contest = ? AND id > ? AND voter IN ({marks})",
            (contest, after, *names),
        )
        votes: dict[int, dict[Candidate, bool | None]] = {}
        for sample, number, vote in rows:
            votes.setdefault(sample, {})[names[number]] = None if vote is None else bool(vote)
        return votes

    def _voter_number(self, voter: Voter) -> list[int]:
        rows = self._rows(
            "SELECT id FROM voter WHERE model = ? AND version = ? AND threshold IS ? AND source = ?", voter_row(voter)
        )
        return [number for (number,) in rows]

    # ------------------------------------------------------------ decisions

    def rounds(self, contest: ContestId) -> list[Round]:
        """Return the champions of a contest in their order."""
        rows = self._rows(
            "SELECT model, version, threshold, began_at, proposed FROM round WHERE contest = ? ORDER BY began_at",
            (contest,),
        )
        return [Round(_candidate(row[:3]), _time(row[3]), bool(row[4])) for row in rows]

    def proposal(self, contest: ContestId) -> DatedCandidate | None:
        """Return what was proposed last, while it is not settled."""
        rows = self._rows("SELECT model, version, threshold, proposed_at FROM proposal WHERE contest = ?", (contest,))
        return DatedCandidate(_candidate(rows[0][:3]), _time(rows[0][3])) if rows else None

    def declined(self, contest: ContestId) -> list[DatedCandidate]:
        """Return what people declined."""
        rows = self._rows("SELECT model, version, threshold, declined_at FROM declined WHERE contest = ?", (contest,))
        return [DatedCandidate(_candidate(row[:3]), _time(row[3])) for row in rows]


@contextmanager
def read_knowledge(path: Path, *, daemon_runs: bool) -> Iterator[KnowledgeReader]:
    """Open a knowledge base for reading, whether a daemon writes it or not; leaves no trace."""
    if not path.exists():
        raise NoKnowledge(
            f"{path} does not exist: this gateway has collected no samples yet, or its state_dir is another"
        )
    try:
        with sqlite_file.open_read_only(path, writer_runs=daemon_runs) as db:
            found = sqlite_file.version(db)
            if found != len(schema.MIGRATIONS):
                raise NoKnowledge(f"{path} has version {found}; this release reads {len(schema.MIGRATIONS)}")
            yield KnowledgeReader(db)
    except sqlite3.Error as error:
        raise NoKnowledge(f"{path}: {error}; are you allowed to read it?") from error


def voter_row(voter: Voter) -> tuple[Value, ...]:
    """Return a voter as the columns that name it."""
    return (*candidate_row(voter.candidate), voter.source)


def candidate_row(candidate: Candidate) -> tuple[Value, ...]:
    """Return a candidate as the columns that name it."""
    return candidate.model.name, candidate.model.version, candidate.threshold


def _candidate(row: Sequence[Any]) -> Candidate:
    name, version, threshold = row
    return Candidate(ModelRef(name, Version(version)), threshold)


def _sample(row: Sequence[Any]) -> Sample:
    (
        device, log, offset, boots, uptime_ms, inferences, score, anomalous, skipped, context, weight, received_at,
        element_type, features, window,
    ) = row  # fmt: skip
    return Sample(
        device=DeviceId(device),
        log=SampleLog(log),
        offset=offset,
        boots=boots,
        uptime_ms=uptime_ms,
        inferences=inferences,
        score=score,
        anomalous=bool(anomalous),
        skipped=skipped,
        context=context,
        features=struct.unpack(f"<{len(features) // 4}i", features),
        window=window,
        element_type=element_type,
        weight=weight,
        received_at=_time(received_at),
    )


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _time_or_none(at: float | None) -> datetime | None:
    return _time(at) if at is not None else None
