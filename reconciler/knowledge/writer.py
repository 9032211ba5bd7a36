# SPDX-License-Identifier: Apache-2.0
"""Writing to the knowledge base. A gateway has one writer: its daemon, or a command that runs instead of it."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from reconciler import sqlite_file
from reconciler.knowledge import schema, thinning
from reconciler.knowledge.reader import SAMPLE_COLUMNS, KnowledgeReader, candidate_row, voter_row
from reconciler.knowledge.records import LearnedForest, Round, SampleBatch, SampleContext, Voter
from reconciler.knowledge.schema import KnowledgeUnusable
from reconciler.model import ContestId, DeviceId
from reconciler.model.contests import Candidate, KnowledgeBounds
from reconciler.model.samples import Sample
from reconciler.sqlite_file import DatabaseWriter, Value

Votes = Mapping[int, bool | None]  # by the number of the sample; None: abstained
_MARKS = ", ".join("?" * (len(SAMPLE_COLUMNS.split(",")) + 1))


class KnowledgeWriter(DatabaseWriter, KnowledgeReader):
    """The knowledge base, open for reading and writing by the event loop's thread and the evaluation's thread."""

    unusable = KnowledgeUnusable

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_private(path)
            opened = sqlite_file.open_database(path, schema.prepare, discard=_replace)
        except (sqlite3.OperationalError, OSError) as error:
            raise KnowledgeUnusable(f"{path}: {error}; check the folder's owner, permissions and free space") from error
        super().__init__(path, opened)

    def kept_since(self, now: datetime) -> datetime:
        """Return since when samples are kept here: from now on, if the database is new."""
        self._write("INSERT OR IGNORE INTO fact VALUES ('kept_since', ?)", (now.timestamp(),))
        ((since,),) = self._rows("SELECT value FROM fact WHERE name = 'kept_since'")
        return datetime.fromtimestamp(since, UTC)

    def changes_by_others(self) -> int:
        """Return a number that differs once another process has changed something, such as a label."""
        ((version,),) = self._rows("PRAGMA data_version")
        return int(version)

    # ------------------------------------------------------------ samples

    def ingest(self, batch: SampleBatch) -> int:
        """Store the samples of an attested range and move the cursor, in one transaction; return how many are new.

        A batch that was fetched from another offset than the cursor's is dropped: its range is fetched again.
        """
        with self.transaction():
            if self.position(batch.device, batch.log).offset != batch.before:
                return 0
            before = self._db.total_changes
            self._db.executemany(
                f"INSERT OR IGNORE INTO sample (contest, {SAMPLE_COLUMNS}) VALUES ({_MARKS})",  # noqa: S608 - constants
                [(batch.contest, *_sample_row(sample)) for sample in batch.samples],
            )
            new = self._db.total_changes - before
            after = batch.position
            self._db.execute(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)",
                (batch.device, batch.log, after.offset, after.lost_bytes, after.unreadable_bytes),
            )
            return new

    def save_context(self, context: SampleContext) -> None:
        """Keep which model made samples."""
        parameters = json.dumps(dict(context.parameters), sort_keys=True)
        values = (context.context, context.model.name, context.model.version, context.digest, parameters)
        self._write("INSERT OR REPLACE INTO context VALUES (?, ?, ?, ?, ?)", values)

    def save_learned(self, forest: LearnedForest) -> None:
        """Keep the forest of a device instead of the one before."""
        starter = (forest.starter.name, forest.starter.version)
        grown = (forest.digest, forest.generation, forest.sha256, forest.rows, forest.anomalous, forest.pack)
        values = (forest.device, forest.contest, *starter, *grown, forest.received_at.timestamp())
        self._write("INSERT OR REPLACE INTO learned VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def label(self, sample: int, author: str, at: datetime, *, anomalous: bool) -> bool:
        """Keep what a person says of a sample; return whether the sample exists."""
        with self.transaction():
            if not self._rows("SELECT 1 FROM sample WHERE id = ?", (sample,)):
                return False
            values = (sample, anomalous, author, at.timestamp())
            self._db.execute("INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?)", values)
            return True

    def forget(self, device: DeviceId) -> int:
        """Delete all samples of a device, also from the free space of the file; return how many there were.

        A forest that it has grown is deleted as well: its thresholds are values of its windows.

        Its cursors stay, so that what was forgotten is not fetched again.
        """
        with self._lock, self._translated():
            self._db.execute("PRAGMA secure_delete=ON")
            with self.transaction():
                forgotten = self._db.execute("DELETE FROM sample WHERE device = ?", (device,)).rowcount
                self._db.execute("DELETE FROM learned WHERE device = ?", (device,))
            self._db.execute("PRAGMA secure_delete=OFF")
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return forgotten

    def thin(self, contest: ContestId, bounds: KnowledgeBounds, now: datetime) -> int:
        """Delete what exceeds the bounds of a contest; return how many samples."""
        with self.transaction():
            return thinning.thin(self._db, contest, bounds, now)

    # ------------------------------------------------------------ votes

    def save_votes(self, contest: ContestId, ballots: Mapping[Voter, Votes], last: int) -> None:
        """Keep the votes of some voters on all samples up to `last`, in one transaction. Some may be deleted by now."""
        with self.transaction():
            for voter, votes in ballots.items():
                number = self._number_of(voter)
                self._db.executemany(
                    "INSERT OR REPLACE INTO verdict SELECT id, ?, ? FROM sample WHERE id = ?",
                    [(number, vote, sample) for sample, vote in votes.items()],
                )
                self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (contest, number, last))

    def _number_of(self, voter: Voter) -> int:
        for number in self._voter_number(voter):
            return number
        created = self._db.execute(
            "INSERT INTO voter (model, version, threshold, source) VALUES (?, ?, ?, ?)", voter_row(voter)
        )
        return int(created.lastrowid or 0)

    # ------------------------------------------------------------ decisions

    def begin_round(self, contest: ContestId, begun: Round) -> None:
        """Keep since when a champion is evaluated. What was proposed is settled with it."""
        values = (contest, *candidate_row(begun.champion), begun.began_at.timestamp(), begun.proposed)
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO round (contest, model, version, threshold, began_at, proposed) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
            self._db.execute("DELETE FROM proposal WHERE contest = ?", (contest,))

    def save_proposal(self, contest: ContestId, proposed: Candidate, at: datetime) -> None:
        """Keep what is proposed, before it is pushed."""
        values = (contest, *candidate_row(proposed), at.timestamp())
        self._write("INSERT OR REPLACE INTO proposal VALUES (?, ?, ?, ?, ?)", values)

    def settle_proposal(self, contest: ContestId) -> None:
        """Forget what was proposed: it was merged, or is no longer wanted."""
        self._write("DELETE FROM proposal WHERE contest = ?", (contest,))

    def decline(self, contest: ContestId, declined: Candidate, at: datetime) -> None:
        """Keep that people declined a candidate, and that it is proposed no longer."""
        with self.transaction():
            values = (contest, at.timestamp(), *candidate_row(declined))
            self._db.execute("INSERT OR REPLACE INTO declined VALUES (?, ?, ?, ?, ?)", values)
            self._db.execute("DELETE FROM proposal WHERE contest = ?", (contest,))

    def reconsider(self, contest: ContestId, declined: Candidate) -> None:
        """Forget that a candidate was declined, so that it may be proposed again."""
        values = (contest, *candidate_row(declined))
        self._write("DELETE FROM declined WHERE contest = ? AND model = ? AND version = ? AND threshold IS ?", values)


def _make_private(path: Path) -> None:
    """Leave the file to its owner alone; SQLite gives its side files the same mode."""
    path.touch(mode=0o600)
    path.chmod(0o600)


def _replace(path: Path) -> None:
    """Set a damaged file aside, and begin a new one."""
    sqlite_file.set_aside(path)
    _make_private(path)


def _sample_row(sample: Sample) -> tuple[Value, ...]:
    return (
        sample.device,
        sample.log,
        sample.offset,
        sample.boots,
        sample.uptime_ms,
        sample.inferences,
        sample.score,
        sample.anomalous,
        sample.skipped,
        sample.context,
        sample.weight,
        sample.received_at.timestamp(),
        sample.element_type,
        struct.pack(f"<{len(sample.features)}i", *sample.features),
        sample.window,
    )
