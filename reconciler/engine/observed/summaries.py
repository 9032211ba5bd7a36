# SPDX-License-Identifier: Apache-2.0
"""What devices count and sample, added up per pack: inferences, anomalies, faults, resets, the distribution of scores.

A device's counters belong to the pack that it runs and start at zero with it. The database keeps the last summary of
each device for each pack that it ran, so a sum over devices covers all that a pack ever did on this gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.devices.reports import HISTOGRAM_BINS, Score, Summary, encode_body, parse_body
from reconciler.engine.state.records import SummaryRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.model import DeviceId, Digest, ShortDigest, short_digest


@dataclass(frozen=True, slots=True)
class Counted:
    """What one device counted with one pack."""

    device: DeviceId
    running: ShortDigest
    summary: Summary
    at: datetime | None  # when it was reported; None: before this was recorded


@dataclass(frozen=True, slots=True)
class Total:
    """What all devices together did with one pack."""

    running: ShortDigest
    devices: int
    inferences: int
    anomalies: int
    faults: int
    resets: int
    score: Score | None
    oldest: datetime | None = None  # when the first and the last of these devices reported its figures
    newest: datetime | None = None  # None: before this was recorded

    def as_dict(self) -> dict[str, object]:
        """Return the fields as a mapping for programs."""
        fields: dict[str, object] = {
            "running": self.running,
            "devices": self.devices,
            "inferences": self.inferences,
            "anomalies": self.anomalies,
            "faults": self.faults,
            "resets": self.resets,
            "oldestAt": self.oldest.isoformat() if self.oldest is not None else None,
            "newestAt": self.newest.isoformat() if self.newest is not None else None,
        }
        if self.score is not None:
            fields["score"] = {
                "count": self.score.count,
                "min": self.score.minimum,
                "max": self.score.maximum,
                "mean": self.score.total / self.score.count if self.score.count else None,
                "histogram": list(self.score.histogram),
            }
        return fields


class Summaries:
    """The last summary of each device for each pack that it ran."""

    def __init__(self, state: StateWriter) -> None:
        self._state = state

    def record(self, device: DeviceId, summary: Summary, at: datetime) -> None:
        """Record a verified summary; a device that runs nothing counts nothing."""
        if summary.running is not None:
            self._state.save_summary(device, summary.running.hex(), encode_body(summary), at)

    def counted(self) -> list[Counted]:
        """Return what each device counted with each pack that it ran."""
        return counted(self._state.summaries())

    def totals(self) -> list[Total]:
        """Add up the summaries, per pack."""
        return totals(self.counted())


def counted(records: Iterable[SummaryRecord]) -> list[Counted]:
    """Parse summaries."""
    parsed = ((record, parse_body(record.body)) for record in records)
    return [
        Counted(record.device, short_digest(Digest(record.running)), summary, record.at)
        for record, summary in parsed
        if isinstance(summary, Summary)
    ]


def totals(figures: Iterable[Counted]) -> list[Total]:
    """Add up summaries, per pack."""
    by_pack: dict[ShortDigest, list[tuple[Summary, datetime | None]]] = {}
    for each in figures:
        by_pack.setdefault(each.running, []).append((each.summary, each.at))
    return [
        _total(running, [summary for summary, _ in found], [at for _, at in found if at is not None])
        for running, found in sorted(by_pack.items())
    ]


def labelled(found: Iterable[Total], names: Mapping[ShortDigest, str]) -> dict[str, Total]:
    """Label each pack with its model; add the digest where a model was built for several device types."""
    every = list(found)
    uses = Counter(names.get(total.running) for total in every)
    return {_label(total, names.get(total.running), uses): total for total in every}


def _label(total: Total, model: str | None, uses: Counter[str | None]) -> str:
    if model is None:
        return total.running
    return model if uses[model] == 1 else f"{model} ({total.running[:12]})"


def _total(running: ShortDigest, found: list[Summary], times: list[datetime]) -> Total:
    return Total(
        running,
        len(found),
        sum(each.inferences for each in found),
        sum(each.anomalies for each in found),
        sum(each.faults for each in found),
        sum(each.resets for each in found),
        _scores([each.score for each in found if each.score is not None and each.score.count]),
        min(times, default=None),
        max(times, default=None),
    )


def _scores(found: list[Score]) -> Score | None:
    if not found:
        return None
    return Score(
        sum(each.count for each in found),
        min(each.minimum for each in found),
        max(each.maximum for each in found),
        sum(each.total for each in found),
        tuple(sum(each.histogram[bin_] for each in found) for bin_ in range(HISTOGRAM_BINS)),
    )
