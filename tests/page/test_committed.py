# SPDX-License-Identifier: Apache-2.0
"""The page beside the status README: there when asked for, and no reason for a commit of its own."""

from __future__ import annotations

from datetime import timedelta

from reconciler.engine.status.renderer import GATEWAY, README, PassOutcome, StatusRenderer
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
from reconciler.report.device_status import PassStamp
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
    return PassOutcome(FACTS, PassStamp(at, COMMIT), (action,), observed, rollout_facts=facts)


def test_it_changes_when_a_status_does_and_not_before() -> None:
    statuses = StatusRenderer(NAME, {}, page=True)
    files, gone = statuses.render(picture())
    assert {INDEX, README, GATEWAY, "devices/pump-1.yaml", "rollouts/pump-vibration.yaml"} == files.keys()
    assert not gone
    assert statuses.render(picture(minutes=10)) == ({}, set())  # heard again, later: nothing to tell
    later, _ = statuses.render(picture(SILENT, minutes=20))
    assert later[INDEX] != files[INDEX]
    assert b"NotReporting" in later[INDEX]


def test_a_restart_changes_nothing() -> None:
    files, _ = StatusRenderer(NAME, {}, page=True).render(picture())
    again, gone = StatusRenderer(NAME, files, page=True).render(picture(minutes=30))
    assert {**files, **again} == files
    assert not gone


def test_it_comes_and_goes_with_the_configuration() -> None:
    without, _ = StatusRenderer(NAME, {}).render(picture())
    assert INDEX not in without
    on, gone = StatusRenderer(NAME, without, page=True).render(picture(minutes=1))
    assert INDEX in on
    assert not gone
    with_it = {**without, **on}
    off = StatusRenderer(NAME, with_it)
    files, gone = off.render(picture(minutes=2))
    assert gone == {INDEX}
    assert INDEX not in files
    assert off.render(picture(minutes=3)) == ({}, set())
