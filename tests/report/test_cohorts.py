# SPDX-License-Identifier: Apache-2.0
"""Cohorts are named up to a bound, and the value of a label survives in the status files."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from reconciler.daemon.cohort_metrics import cohort_metrics
from reconciler.engine.observed.cohort_totals import CohortTotal
from reconciler.load.schemas import schema_text
from reconciler.model import DeviceId
from reconciler.page.routes import committed
from reconciler.report.cohorts import MAX_COHORTS, OTHER, WITHOUT, cohorts_of
from reconciler.report.device_status import DeviceStatus
from reconciler.report.status_files import device_file, gateway_file, read_device_file, read_gateway_file
from tests.page.fleets import HOSTILE, gateway, rich, similar

SITE = replace(gateway(), cohort_label="site")


def labelled(*values: str | None) -> list[DeviceStatus]:
    return [replace(each, cohort=value) for each, value in zip(similar(len(values)), values, strict=True)]


def test_a_fleet_without_a_label_has_no_cohorts() -> None:
    assert cohorts_of(gateway(), labelled("north")) is None
    assert cohorts_of(None, labelled("north")) is None
    assert b"Devices by their label" not in committed(rich(live=False))


def test_the_largest_cohorts_are_named_and_the_rest_is_counted_together() -> None:
    values = [f"site-{index:04}" for index in range(1000)]
    found = cohorts_of(SITE, labelled("zebra", "zebra", None, "", *values))
    assert found is not None
    counts = Counter(found.of.values())
    assert len(counts) == MAX_COHORTS + 2
    assert found.values == 1001
    assert counts["zebra"] == 2
    assert counts[WITHOUT] == 2
    assert counts[OTHER] == 1000 - (MAX_COHORTS - 1)


@pytest.mark.parametrize("name", [WITHOUT, OTHER])
def test_no_label_value_imitates_the_other_groups(name: str) -> None:
    pattern = json.loads(schema_text("Device"))["$defs"]["labelValue"]["pattern"]
    assert re.fullmatch(pattern, "north")
    assert not re.fullmatch(pattern, name)


@pytest.mark.parametrize("value", ["north", "on", "null", "2026", "1e3", "0x1F", "2026-05-04", "1.0", "x" * 63])
def test_the_value_survives_in_the_files(value: str) -> None:
    (status,) = labelled(value)
    assert read_device_file(device_file(status)) == status
    label = replace(gateway(), cohort_label=value)
    assert read_gateway_file(gateway_file(label)) == label


def test_hostile_values_stay_values_on_the_page_and_in_metrics() -> None:
    devices = labelled(HOSTILE, 'a"} 7\n', "north")
    page = committed(replace(rich(live=False), gateway=SITE, devices=devices, rollouts=()))
    assert b"<script" not in page
    assert b"Devices by their label" in page
    cohorts = cohorts_of(SITE, devices)
    totals = {('a"} 7\n', "wear@1"): CohortTotal(5, 1, 0, datetime(2026, 5, 1, tzinfo=UTC))}

    class Source(Collector):
        def collect(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            return cohort_metrics(cohorts, devices, totals, datetime(2026, 5, 2, tzinfo=UTC))

    registry = CollectorRegistry()
    registry.register(Source())
    text = generate_latest(registry).decode()
    assert 'tinyfleet_cohort_inferences_total{cohort="a\\"} 7\\n",model="wear@1"} 5.0' in text
    assert 'tinyfleet_cohort_devices{cohort="north",reason="Ready"} 1.0' in text
    assert "86400.0" in text


def test_devices_are_counted_by_cohort() -> None:
    found = cohorts_of(SITE, labelled("north", "south", "north"))
    assert found is not None
    assert found.of[DeviceId("pump-00000")] == "north"
    assert Counter(found.of.values()) == {"north": 2, "south": 1}
