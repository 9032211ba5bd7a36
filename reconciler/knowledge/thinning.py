# SPDX-License-Identifier: Apache-2.0
"""How a knowledge base is kept within its bounds.

What is too old is deleted. Beyond that, samples are thinned evenly over time: sampled normals first, then anomalies,
those with a label of a person last. A deleted sample's weight passes to its neighbour of the same device and context,
so that weighted rates stay what they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from reconciler.knowledge import schema
from reconciler.model import ContestId
from reconciler.model.contests import KnowledgeBounds
from reconciler.model.samples import SampleLog

TARGET = 0.95  # of a bound, so that not every range thins again
# In this order: the log, and whether a person labelled the sample.
CLASSES = (
    (SampleLog.NORMALS, False),
    (SampleLog.ANOMALIES, False),
    (SampleLog.NORMALS, True),
    (SampleLog.ANOMALIES, True),
)


def thin(db: sqlite3.Connection, contest: ContestId, bounds: KnowledgeBounds, now: datetime) -> int:
    """Delete what exceeds the bounds; return how many samples. The caller has begun a transaction."""
    oldest = now.timestamp() - bounds.age_s
    deleted = db.execute("DELETE FROM sample WHERE contest = ? AND received_at < ?", (contest, oldest)).rowcount
    excess = _excess(db, contest, bounds)
    for log, labelled in CLASSES:
        if excess <= 0:
            break
        gone = _thin_class(db, contest, (log, labelled), excess)
        excess -= gone
        deleted += gone
    return deleted


def _excess(db: sqlite3.Connection, contest: ContestId, bounds: KnowledgeBounds) -> int:
    """Return how many samples to delete."""
    ((count, size),) = db.execute(
        f"SELECT count(*), coalesce(sum({schema.SAMPLE_BYTES}), 0) FROM sample WHERE contest = ?",  # noqa: S608 - a constant
        (contest,),
    )
    if count <= bounds.windows and size <= bounds.bytes:
        return 0
    too_many = count - int(bounds.windows * TARGET)
    too_large = -(-(size - int(bounds.bytes * TARGET)) * count // size)
    return int(min(count, max(too_many, too_large)))


def _thin_class(db: sqlite3.Connection, contest: ContestId, kind: tuple[SampleLog, bool], excess: int) -> int:
    rows = db.execute(
        "SELECT sample.id, weight, device, context FROM sample LEFT JOIN label ON label.sample = sample.id "
        "WHERE contest = ? AND log = ? AND (label.sample IS NOT NULL) = ? ORDER BY device, context, sample.id",
        (contest, *kind),
    ).fetchall()
    victims = evenly_chosen(len(rows), excess)
    gone = [rows[index][0] for index in victims]
    db.executemany("UPDATE sample SET weight = weight + ? WHERE id = ?", _passed_on(rows, frozenset(gone)))
    db.executemany("DELETE FROM sample WHERE id = ?", [(number,) for number in gone])
    return len(gone)


def evenly_chosen(count: int, wanted: int) -> list[int]:
    """Choose this many of `count` indexes, spread evenly."""
    wanted = min(count, wanted)
    return [(2 * index + 1) * count // (2 * wanted) for index in range(wanted)]


def _passed_on(rows: Iterable[tuple[int, int, str, bytes]], gone: frozenset[int]) -> Sequence[tuple[int, int]]:
    """Return the weight that each remaining sample takes over: that of those before it, in its own group."""
    more: list[tuple[int, int]] = []
    for _, members in groupby(rows, key=itemgetter(2, 3)):
        waiting, kept = 0, None
        for number, weight, _device, _context in members:
            if number in gone:
                waiting += weight
                continue
            kept = number
            if waiting:
                more.append((waiting, kept))
                waiting = 0
        if waiting and kept is not None:
            more.append((waiting, kept))
    return more
