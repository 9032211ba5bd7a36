# SPDX-License-Identifier: Apache-2.0
"""The page beside the status README: there when asked for, and no reason for a commit of its own."""

from __future__ import annotations

from datetime import timedelta

from reconciler.engine.status.statuses import GATEWAY, README, PassOutcome, Statuses
from reconciler.model import (
    Blocked,
    BlockedReason,
    DeviceId,
    GatewayId,
    NoChange,
    Observed,
    ObservedDevice,
    Phase,
    RolloutId,
)
from reconciler.page.routes import INDEX
from reconciler.report.device_status import Moment
from reconciler.report.gateway_status import GatewayFacts, SourceState
from tests.page.fleets import COMMIT, NOW, rich

NAME = GatewayId("hall-north")
FACTS = GatewayFacts(NAME, SourceState(good=True, reason="Fetched", message="ok"))
DONE = NoChange(DeviceId("pump-1"), "runs vibration@1.3.0")
SILENT = Blocked(DeviceId("pump-1"), RolloutId("pumps"), BlockedReason.SILENT, "silent since noon")


def picture(action: NoChange | Blocked = DONE, minutes: int = 0) -> PassOutcome:
    at = NOW + timedelta(minutes=minutes)
    observed = Observed({DeviceId("pump-1"): ObservedDevice(last_seen=at, phase=Phase.CONFIRMED, running=None)})
    facts = (rich().rollouts[0].facts,)
    return PassOutcome(FACTS, (action,), observed, {}, {}, Moment(at, COMMIT), rollout_facts=facts)


def test_it_changes_when_a_status_does_and_not_before() -> None:
    statuses = Statuses(NAME, {}, page=True)
    files, gone = statuses.changed(picture())
    assert {INDEX, README, GATEWAY, "devices/pump-1.yaml", "rollouts/pump-vibration.yaml"} == files.keys()
    assert not gone
    assert statuses.changed(picture(minutes=10)) == ({}, set())  # heard again, later: nothing to tell
    later, _ = statuses.changed(picture(SILENT, minutes=20))
    assert later[INDEX] != files[INDEX]
    assert b"NotReporting" in later[INDEX]


def test_a_restart_changes_nothing() -> None:
    files, _ = Statuses(NAME, {}, page=True).changed(picture())
    again, gone = Statuses(NAME, files, page=True).changed(picture(minutes=30))
    assert {**files, **again} == files
    assert not gone


def test_it_comes_and_goes_with_the_configuration() -> None:
    without, _ = Statuses(NAME, {}).changed(picture())
    assert INDEX not in without
    on, gone = Statuses(NAME, without, page=True).changed(picture(minutes=1))
    assert INDEX in on
    assert not gone
    with_it = {**without, **on}
    off = Statuses(NAME, with_it)
    files, gone = off.changed(picture(minutes=2))
    assert gone == {INDEX}
    assert INDEX not in files
    assert off.changed(picture(minutes=3)) == ({}, set())
