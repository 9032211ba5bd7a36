# SPDX-License-Identifier: Apache-2.0
"""What a gateway reports to its peers about its own devices."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model import DeviceId, RolloutReport
from reconciler.plan import Planner
from reconciler.plan.revision import revision_of
from reconciler.plan.rollout.own_report import report_to_peers
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    TINY,
    V2,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

DESIRED = fleet([device(1), device(2), device(3), device(4, TINY.name)])
DONE = seen(digest_of(V2, ESP32.name), parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))
STATES = {"d001": DONE, "d002": seen(), "d004": seen()}  # d003 has never reported, d004 is too small
OURS = {DeviceId("d001"), DeviceId("d003"), DeviceId("d004")}
LATER = NOW + timedelta(minutes=1)


def test_each_of_our_devices_is_in_the_group_of_its_role() -> None:
    planner = Planner()
    planner.plan(DESIRED, observe(STATES, *BUILT), NOW)
    report = report_to_peers(planner.evaluations[EVERYWHERE.name], planner.verdicts(EVERYWHERE.name), OURS, None, NOW)
    assert report == RolloutReport(
        revision_of(DESIRED, EVERYWHERE.name),
        done=frozenset({DeviceId("d001")}),
        missing=frozenset({DeviceId("d003")}),
        out=frozenset({DeviceId("d004")}),
        at=NOW,
    )


def test_an_unchanged_report_keeps_its_time_and_a_new_one_gets_another() -> None:
    planner = Planner()
    planner.plan(DESIRED, observe(STATES, *BUILT), NOW)
    evaluation, verdicts = planner.evaluations[EVERYWHERE.name], planner.verdicts(EVERYWHERE.name)
    first = report_to_peers(evaluation, verdicts, OURS, None, NOW)
    assert report_to_peers(evaluation, verdicts, OURS, first, LATER) is first
    more = report_to_peers(evaluation, verdicts, {*OURS, DeviceId("d002")}, first, LATER)
    assert (more.due, more.at) == (frozenset({DeviceId("d002")}), LATER)
