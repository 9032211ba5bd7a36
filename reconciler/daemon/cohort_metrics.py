# SPDX-License-Identifier: Apache-2.0
"""Metrics of cohorts; none if the fleet declares no label for them. Their number is bounded (docs/adr/0158)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from reconciler.engine.observed.cohort_totals import CohortTotal
from reconciler.report.cohorts import Cohorts
from reconciler.report.device_status import DeviceStatus

COHORT_COUNTERS = {
    "inferences": "Inferences",
    "anomalies": "Anomalies detected",
    "faults": "Faults in inferences",
}


def cohort_metrics(
    cohorts: Cohorts | None,
    devices: Sequence[DeviceStatus],
    totals: Mapping[tuple[str, str], CohortTotal],
    now: datetime,
) -> Iterator[Metric]:
    """Yield the devices of each cohort by reason, and what they count by model."""
    if cohorts is None:
        return
    yield GaugeMetricFamily(
        "tinyfleet_cohort_label_values", "Values of the cohort label on devices, named or not", value=cohorts.values
    )
    reasons = Counter((cohorts.of[each.device], each.ready.reason) for each in devices)
    states = GaugeMetricFamily(
        "tinyfleet_cohort_devices", "Devices of a cohort by the reason of Ready", labels=["cohort", "reason"]
    )
    for labels, count in sorted(reasons.items()):
        states.add_metric(labels, count)
    yield states
    ordered = sorted(totals.items())
    for field, help_text in COHORT_COUNTERS.items():
        family = CounterMetricFamily(
            f"tinyfleet_cohort_{field}", f"{help_text}, by cohort and model", labels=["cohort", "model"]
        )
        for names, total in ordered:
            family.add_metric(names, getattr(total, field))
        yield family
    ages = GaugeMetricFamily(
        "tinyfleet_cohort_figures_age_seconds",
        "Age of the oldest figure in these sums, by cohort and model",
        labels=["cohort", "model"],
    )
    for names, total in ordered:
        if total.oldest is not None:
            ages.add_metric(names, (now - total.oldest).total_seconds())
    yield ages
