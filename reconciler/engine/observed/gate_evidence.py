# SPDX-License-Identifier: Apache-2.0
"""What gates evaluate: what each device counted with the pack that it runs, and with what it ran before the rollout.

Evidence is recorded only while a gate awaits it, so the figures on which a gate passed never change afterwards. The
baseline is recorded just before a rollout first changes a device, and stays until another revision does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from reconciler.devices.reports import Summary, encode_body, parse_body
from reconciler.engine.observed.inference_rate import InferenceRates
from reconciler.engine.state.records import BaselineRecord, DeviceRecord, EvidenceRecord, FlappingRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.model import Before, Counts, DeviceHealth, DeviceId, ReportedDigest, Scores

FLAPS_FORGOTTEN = timedelta(days=1)


class GateEvidence:
    """The evidence of all devices, in memory and in the database."""

    def __init__(self, state: StateWriter, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.rates = InferenceRates(steady_s)
        self.awaited: Collection[DeviceId] = frozenset()  # devices whose evidence a gate awaits
        self._state = state
        self._evidence = state.evidence()
        self._baselines = state.baselines()
        self._flapping = state.flapping()

    def record(self, device: DeviceId, heard: DeviceRecord, summary: Summary) -> bool:
        """Record what a device counted if a gate awaits it; return whether one does."""
        if device not in self.awaited or heard.confirmed_since is None or summary.running is None:
            return False
        seconds = self._seconds(device, summary)
        since = heard.confirmed_since.timestamp()
        record = EvidenceRecord(summary.running.hex(), since, encode_body(summary), seconds)
        self._evidence[device] = record
        self._state.save_evidence(device, record)
        return True

    def needs_baseline(self, device: DeviceId, revision: str) -> bool:
        """Return whether a device's baseline for this revision is still to be recorded."""
        baseline = self._baselines.get(device)
        return baseline is None or baseline.before.revision != revision

    def record_baseline(self, device: DeviceId, before: Before, summary: Summary | None) -> None:
        """Record what a device is, just before a rollout first changes it."""
        body = encode_body(summary) if summary is not None else None
        seconds = self._seconds(device, summary) if summary is not None else 0.0
        record = BaselineRecord(before, body, seconds)
        self._baselines[device] = record
        self._state.save_baseline(device, record)

    def baseline(self, device: DeviceId) -> Before | None:
        """Return what a device was before its rollout changed it."""
        record = self._baselines.get(device)
        return record.before if record is not None else None

    def health(self, device: DeviceId, running: ReportedDigest | None, since: datetime | None) -> DeviceHealth | None:
        """Return what a device did since exactly this pack was confirmed; None: nothing is known."""
        evidence = self._evidence.get(device)
        if evidence is None or since is None or (evidence.running, evidence.since) != (running, since.timestamp()):
            return None
        now = _counts(evidence.body, evidence.seconds)
        baseline = self._baselines.get(device)
        if now is None or baseline is None or baseline.body is None:
            return DeviceHealth(now) if now is not None else None
        before = _counts(baseline.body, baseline.seconds)
        # When only the parameters changed, the pack's counters continued from the baseline.
        same_pack = before is not None and baseline.before.running == running
        return DeviceHealth(_minus(now, before) if same_pack and before is not None else now, before)

    def record_flap(self, device: DeviceId, now: datetime) -> None:
        """Record that a device fell silent and came back."""
        before = self._flapping.get(device)
        forgotten = before is None or now - before.flapped_at > FLAPS_FORGOTTEN
        record = FlappingRecord(1 if before is None or forgotten else before.flaps + 1, now)
        self._flapping[device] = record
        self._state.save_flapping(device, record)

    def flapping(self, device: DeviceId) -> tuple[int, datetime | None]:
        """Return how often a device fell silent and came back, and when it last did."""
        record = self._flapping.get(device)
        return (record.flaps, record.flapped_at) if record is not None else (0, None)

    def forget(self, device: DeviceId) -> None:
        """Forget a device in memory; the caller deletes it from the database."""
        for known in (self._evidence, self._baselines, self._flapping):
            known.pop(device, None)
        self.rates.forget(device)

    def _seconds(self, device: DeviceId, summary: Summary) -> float:
        """Return how long a device took for what it counted; 0 while its inference rate is unknown."""
        if summary.running is None:
            return 0.0
        return self.rates.seconds_for(device, summary.running, summary.inferences) or 0.0


def _counts(body: bytes, seconds: float) -> Counts | None:
    summary = parse_body(body)
    if not isinstance(summary, Summary):
        return None
    score = summary.score
    scores = None
    if score is not None and score.count:
        scores = Scores(score.count, score.minimum, score.maximum, score.total / score.count, score.histogram)
    return Counts(summary.inferences, summary.anomalies, summary.faults, summary.resets, seconds, scores)


def _minus(now: Counts, before: Counts) -> Counts:
    """Return what was counted after the baseline; a device that restarted began again at zero."""
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
    histogram = tuple(max(0, after - earlier) for after, earlier in zip(now.histogram, before.histogram, strict=True))
    return Scores(count, now.min, now.max, mean, histogram)
