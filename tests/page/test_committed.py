# SPDX-License-Identifier: Apache-2.0
"""The page next to the README of the status branch: optional, and never a reason for a commit of its own."""

from __future__ import annotations

from dataclasses import replace
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


def outcome(action: NoChange | Blocked = DONE, minutes: int = 0) -> PassOutcome:
    at = NOW + timedelta(minutes=minutes)
    observed = Observed({DeviceId("pump-1"): ObservedDevice(last_seen=at, phase=Phase.CONFIRMED, running=None)})
    facts = (rich().rollouts[0].facts,)
    return PassOutcome(FACTS, PassStamp(at, COMMIT), (action,), observed, rollout_facts=facts)


def test_the_page_changes_only_with_a_status() -> None:
    statuses = StatusRenderer(NAME, {}, page=True)
    files, gone = statuses.render(outcome())
    assert {INDEX, README, GATEWAY, "devices/pump-1.yaml", "rollouts/pump-vibration.yaml"} == files.keys()
    assert not gone
    assert statuses.render(outcome(minutes=10)) == ({}, set())  # a later report without news
    later, _ = statuses.render(outcome(SILENT, minutes=20))
    assert later[INDEX] != files[INDEX]
    assert b"NotReporting" in later[INDEX]


def test_a_restart_changes_nothing() -> None:
    files, _ = StatusRenderer(NAME, {}, page=True).render(outcome())
    again, gone = StatusRenderer(NAME, files, page=True).render(outcome(minutes=30))
    assert {**files, **again} == files
    assert not gone


def test_the_page_is_optional() -> None:
    without, _ = StatusRenderer(NAME, {}).render(outcome())
    assert INDEX not in without
    on, gone = StatusRenderer(NAME, without, page=True).render(outcome(minutes=1))
    assert INDEX in on
    assert not gone
    with_it = {**without, **on}
    off = StatusRenderer(NAME, with_it)
    files, gone = off.render(outcome(minutes=2))
    assert gone == {INDEX}
    assert INDEX not in files
    assert off.render(outcome(minutes=3)) == ({}, set())


def test_another_cohort_is_a_new_status_of_the_device_alone() -> None:
    statuses = StatusRenderer(NAME, {})
    statuses.render(outcome())
    moved = replace(outcome(minutes=1), cohorts={DeviceId("pump-1"): "north"})
    files, _ = statuses.render(moved)
    assert files.keys() == {"devices/pump-1.yaml", README, GATEWAY}
    assert b"cohort: north" in files["devices/pump-1.yaml"]
    assert statuses.render(moved) == ({}, set())
