# SPDX-License-Identifier: Apache-2.0
"""What devices count, added up per cohort and model: a cohort has at most one sum for each model in Git."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.engine.observed.summaries import Counted
from reconciler.model import DeviceId, ShortDigest

SecondsFor = Callable[[DeviceId, bytes, int], float | None]


@dataclass(slots=True)
class CohortTotal:
    """What the devices of one cohort did with one model."""

    inferences: int = 0
    anomalies: int = 0
    faults: int = 0
    oldest: datetime | None = None  # when the first of these devices reported its figures


@dataclass(slots=True)
class CohortRate:
    """How often the devices of one cohort find anomalies with what they run, as far as their speed is known."""

    anomalies: int = 0
    seconds: float = 0.0  # that all these devices together took

    @property
    def per_day(self) -> float | None:
        """Return the anomalies a day on each device; None: unknown."""
        return self.anomalies * 86_400 / self.seconds if self.seconds else None


def cohort_totals(
    figures: Iterable[Counted], cohorts: Mapping[DeviceId, str], names: Mapping[ShortDigest, str]
) -> dict[tuple[str, str], CohortTotal]:
    """Add up what devices with a cohort counted, by cohort and model; packs of no known model share the name ""."""
    found: dict[tuple[str, str], CohortTotal] = {}
    for each in figures:
        cohort = cohorts.get(each.device)
        if cohort is None:  # no status yet: in the first sum of a run, it would count as without the label
            continue
        total = found.setdefault((cohort, names.get(each.running, "")), CohortTotal())
        total.inferences += each.summary.inferences
        total.anomalies += each.summary.anomalies
        total.faults += each.summary.faults
        if each.at is not None:
            total.oldest = each.at if total.oldest is None else min(total.oldest, each.at)
    return found


def cohort_rates(
    figures: Iterable[Counted], cohorts: Mapping[DeviceId, str], seconds_for: SecondsFor
) -> dict[str, CohortRate]:
    """Add up the anomalies of each cohort, and how long its devices took; packs of earlier times have no speed."""
    found: dict[str, CohortRate] = {}
    for each in figures:
        cohort, running = cohorts.get(each.device), each.summary.running
        if cohort is None or running is None:
            continue
        seconds = seconds_for(each.device, running, each.summary.inferences)
        if seconds is not None:
            rate = found.setdefault(cohort, CohortRate())
            rate.anomalies += each.summary.anomalies
            rate.seconds += seconds
    return found
