# SPDX-License-Identifier: Apache-2.0
"""What a rollout's gates go by: what each device counted with what it runs now, and with what it ran before.

Evidence is taken only while a gate waits for it, so what a gate was passed on stays as it was then. What a device was
before is noted when a rollout first sends it something, and stands until another revision does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.devices.reports import Summary, encode_body, parse_body
from reconciler.engine.observed.inference_rate import InferenceRates
from reconciler.engine.state.database import DeviceRecord, StateDatabase
from reconciler.model import Before, Counts, DeviceHealth, DeviceId, Digest, Scores

FLAPS_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Taken:
    running: str
    since: float
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class _Noted:
    before: Before
    body: bytes | None
    seconds: float


class GateEvidence:
    """The evidence of all devices, in memory and in the database."""

    def __init__(self, state: StateDatabase, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.paces = InferenceRates(steady_s)
        self.wanted: Collection[DeviceId] = frozenset()  # of whom a gate waits for evidence
        self._state = state
        rows = state.read("SELECT device, running, since, body, seconds FROM evidence")
        self._taken = {DeviceId(row[0]): _Taken(*row[1:]) for row in rows}
        rows = state.read("SELECT device, revision, running, parameters, body, seconds FROM before")
        self._noted = {
            DeviceId(device): _Noted(Before(revision, running, json.loads(parameters)), body, seconds)
            for device, revision, running, parameters, body, seconds in rows
        }
        rows = state.read("SELECT device, flaps, at FROM unrest")
        self._unrest = {DeviceId(row[0]): (row[1], datetime.fromtimestamp(row[2], UTC)) for row in rows}

    def take(self, device: DeviceId, heard: DeviceRecord, summary: Summary) -> bool:
        """Take in what a device counted, if a gate waits for it; tell whether it did."""
        if device not in self.wanted or heard.confirmed_since is None or summary.running is None:
            return False
        seconds = self._seconds(device, summary)
        taken = _Taken(summary.running.hex(), heard.confirmed_since.timestamp(), encode_body(summary), seconds)
        self._taken[device] = taken
        row = (device, taken.running, taken.since, taken.body, taken.seconds)
        self._state.write("INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?, ?)", row)
        return True

    def needs_before(self, device: DeviceId, revision: str) -> bool:
        """Tell whether it is yet to be noted what a device was before this revision."""
        noted = self._noted.get(device)
        return noted is None or noted.before.revision != revision

    def note_before(self, device: DeviceId, before: Before, summary: Summary | None) -> None:
        """Note what a device is, just before a rollout first changes it."""
        body = encode_body(summary) if summary is not None else None
        seconds = self._seconds(device, summary) if summary is not None else 0.0
        self._noted[device] = _Noted(before, body, seconds)
        row = (device, before.revision, before.running, json.dumps(dict(before.parameters)), body, seconds)
        self._state.write("INSERT OR REPLACE INTO before VALUES (?, ?, ?, ?, ?, ?)", row)

    def _seconds(self, device: DeviceId, summary: Summary) -> float:
        """Return how long a device took for what it counted; 0 while nobody knows how fast it infers."""
        if summary.running is None:
            return 0.0
        return self.paces.seconds_for(device, summary.running, summary.inferences) or 0.0

    def before(self, device: DeviceId) -> Before | None:
        """Return what a device was before it was changed."""
        noted = self._noted.get(device)
        return noted.before if noted is not None else None

    def health(self, device: DeviceId, running: Digest | None, since: datetime | None) -> DeviceHealth | None:
        """Return what a device did since just this was confirmed; None: nothing is known."""
        taken = self._taken.get(device)
        if taken is None or since is None or taken.running != running or taken.since != since.timestamp():
            return None
        now = _counts(taken.body, taken.seconds)
        noted = self._noted.get(device)
        if now is None or noted is None or noted.body is None:
            return DeviceHealth(now) if now is not None else None
        before = _counts(noted.body, noted.seconds)
        # Other parameters for the same pack: its counters went on.
        same = before is not None and noted.before.running == running
        return DeviceHealth(_minus(now, before) if same and before is not None else now, before)

    def flapped(self, device: DeviceId, now: datetime) -> None:
        """Note that a device fell silent and came back."""
        flaps, at = self._unrest.get(device, (0, now))
        flaps = 1 if now - at > FLAPS_FORGOTTEN else flaps + 1
        self._unrest[device] = (flaps, now)
        self._state.write("INSERT OR REPLACE INTO unrest VALUES (?, ?, ?)", (device, flaps, now.timestamp()))

    def unrest(self, device: DeviceId) -> tuple[int, datetime | None]:
        """Return how often a device came and went, and when last."""
        return self._unrest.get(device, (0, None))

    def forget(self, device: DeviceId) -> None:
        """Forget a device; the state has been told already."""
        for known in (self._taken, self._noted, self._unrest):
            known.pop(device, None)
        self.paces.forget(device)


def _counts(body: bytes, seconds: float) -> Counts | None:
    summary = parse_body(body)
    if not isinstance(summary, Summary):
        return None
    score = summary.score
    scores = None
    if score is not None and score.count:
        scores = Scores(score.count, score.least, score.most, score.total / score.count, score.histogram)
    return Counts(summary.inferences, summary.anomalies, summary.faults, summary.resets, seconds, scores)


def _minus(now: Counts, before: Counts) -> Counts:
    """Count only what came after; a device that restarted began its counts anew."""
    if now.inferences < before.inferences:
        return now
    made = now.inferences - before.inferences
    return Counts(
        made,
        max(0, now.anomalies - before.anomalies),
        max(0, now.faults - before.faults),
        max(0, now.resets - before.resets),
        now.seconds * made / now.inferences if now.inferences else 0.0,
        _scores_minus(now.scores, before.scores),
    )


def _scores_minus(now: Scores | None, before: Scores | None) -> Scores | None:
    if now is None or before is None or now.count <= before.count:
        return now
    count = now.count - before.count
    mean = (now.mean * now.count - before.mean * before.count) / count
    histogram = tuple(max(0, here - there) for here, there in zip(now.histogram, before.histogram, strict=True))
    return Scores(count, now.minimum, now.maximum, mean, histogram)
