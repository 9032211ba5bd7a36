# SPDX-License-Identifier: Apache-2.0
"""What devices count and sample, added up per pack: inferences, anomalies, faults, resets, the spread of scores.

A device's counters are those of what it runs, and grow from when it began to. The last summary for each pack that a
device ran is kept, so a sum over devices is a sum over all that this pack has done here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.devices.reports import HISTOGRAM_BINS, Score, Summary, encode_body, parse_body
from reconciler.engine.observed.interpret import DIGEST16_HEX
from reconciler.engine.state.database import StateDatabase
from reconciler.model import DeviceId, Digest


@dataclass(frozen=True, slots=True)
class Total:
    """What all devices together did with one pack."""

    running: Digest  # its first 16 bytes
    devices: int
    inferences: int
    anomalies: int
    faults: int
    resets: int
    score: Score | None

    def as_dict(self) -> dict[str, object]:
        """Name the fields for programs."""
        told: dict[str, object] = {
            "running": self.running,
            "devices": self.devices,
            "inferences": self.inferences,
            "anomalies": self.anomalies,
            "faults": self.faults,
            "resets": self.resets,
        }
        if self.score is not None:
            told["score"] = {
                "count": self.score.count,
                "min": self.score.minimum,
                "max": self.score.maximum,
                "mean": self.score.total / self.score.count if self.score.count else None,
                "histogram": list(self.score.histogram),
            }
        return told


class Summaries:
    """The last summary of each device for each pack that it ran."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    def take(self, device: DeviceId, summary: Summary) -> None:
        """Take in a verified summary; one of a device that runs nothing tells nothing."""
        if summary.running is not None:
            row = (device, summary.running.hex(), encode_body(summary))
            self._state.write("INSERT OR REPLACE INTO summary VALUES (?, ?, ?)", row)

    def totals(self) -> list[Total]:
        """Add up, per pack."""
        return totals(self._state.read("SELECT running, body FROM summary ORDER BY running"))


def totals(rows: Iterable[tuple[str, bytes]]) -> list[Total]:
    """Add up the rows of the table."""
    by_pack: dict[str, list[Summary]] = {}
    for running, body in rows:
        summary = parse_body(body)
        if isinstance(summary, Summary):
            by_pack.setdefault(running, []).append(summary)
    return [_total(running, found) for running, found in sorted(by_pack.items())]


def labelled(found: Iterable[Total], names: Mapping[str, str]) -> dict[str, Total]:
    """Name each pack by its model, and by its digest too where a model was built for several device types."""
    every = list(found)
    often = Counter(names.get(total.running) for total in every)
    return {_label(total, names.get(total.running), often): total for total in every}


def _label(total: Total, model: str | None, often: Counter[str | None]) -> str:
    if model is None:
        return total.running
    return model if often[model] == 1 else f"{model} ({total.running[:12]})"


def _total(running: str, found: list[Summary]) -> Total:
    return Total(
        Digest(running[:DIGEST16_HEX]),
        len(found),
        sum(each.inferences for each in found),
        sum(each.anomalies for each in found),
        sum(each.faults for each in found),
        sum(each.resets for each in found),
        _scores([each.score for each in found if each.score is not None and each.score.count]),
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
