# SPDX-License-Identifier: Apache-2.0
"""What each device counts as in its wave: done, at risk, lost or due."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model import DeviceId, NoChange
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)
from reconciler.plan.rollout.tally import Tally, WaveRole, wave_role
from tests.plan.example_fleet import NOW

ACTION = NoChange(DeviceId("d"), "")
SOAK = timedelta(hours=1)
SOAKED, FRESH = NOW - SOAK, NOW - SOAK + timedelta(seconds=1)
PEER = "gateway north"
ROLES: list[tuple[DeviceVerdict, WaveRole]] = [
    (SettledDevice(ACTION, since=SOAKED), WaveRole.DONE),
    (SettledDevice(ACTION, since=FRESH), WaveRole.SOAKING),
    (SettledDevice(ACTION), WaveRole.SOAKING),
    (SettledDevice(ACTION, since=SOAKED, pending_gate="faults"), WaveRole.SOAKING),
    (SettledDevice(ACTION, since=SOAKED, silent_since=NOW), WaveRole.DONE),
    (SettledDevice(ACTION, since=SOAKED, silent_since=NOW - timedelta(seconds=1)), WaveRole.FAILED),
    (SettledDevice(ACTION, since=SOAKED, silent_since=NOW, pending_gate="faults"), WaveRole.FAILED),
    (SettledDevice(ACTION, proven=True), WaveRole.DONE),
    (DueDevice(ACTION), WaveRole.DUE),
    (DueDevice(ACTION, begun=True), WaveRole.BEGUN),
    (FailedDevice(ACTION), WaveRole.FAILED),
    (MissingDevice(ACTION), WaveRole.MISSING),
    (OutDevice(ACTION), WaveRole.OUT),
]


@pytest.mark.parametrize(("verdict", "role"), ROLES)
def test_each_verdict_has_a_role(verdict: DeviceVerdict, role: WaveRole) -> None:
    assert wave_role(verdict, SOAK, NOW) is role


def test_without_a_soak_time_a_settled_device_is_done_unless_a_gate_waits() -> None:
    assert wave_role(SettledDevice(ACTION), timedelta(0), NOW) is WaveRole.DONE
    assert wave_role(SettledDevice(ACTION, pending_gate="faults"), timedelta(0), NOW) is WaveRole.SOAKING


@pytest.mark.parametrize("peer", ["", PEER])
def test_a_wave_counts_what_it_waits_for_what_may_fail_and_what_is_lost(peer: str) -> None:
    verdicts: dict[str, DeviceVerdict] = {
        "due": DueDevice(ACTION, peer=peer),
        "begun": DueDevice(ACTION, begun=True, peer=peer),
        "missing": MissingDevice(ACTION, peer=peer),
        "failed": FailedDevice(ACTION, peer=peer),
        "done": SettledDevice(ACTION, since=SOAKED, peer=peer),
        "soaking": SettledDevice(ACTION, since=FRESH, peer=peer),
        "out": OutDevice(ACTION, peer=peer),
    }
    tally = Tally()
    for name, verdict in verdicts.items():
        tally.add(DeviceId(name), verdict, SOAK, NOW)
    assert (tally.due, tally.due_or_missing) == (["due"], ["due", "missing"])
    assert (tally.done, tally.at_risk, tally.lost, tally.unfinished) == (1, 2, 2, 3)
    assert tally.peers == ({peer: 6} if peer else {})


def test_the_soak_times_of_a_wave_end_with_its_first_and_last_device() -> None:
    tally = Tally()
    for minutes in (20, 40, 10, 30):
        verdict = SettledDevice(ACTION, since=NOW - SOAK + timedelta(minutes=minutes))
        tally.add(DeviceId(f"d{minutes}"), verdict, SOAK, NOW)
    tally.add(DeviceId("unknown"), SettledDevice(ACTION), SOAK, NOW)
    tally.add(DeviceId("gated"), SettledDevice(ACTION, since=SOAKED, pending_gate="faults"), SOAK, NOW)
    failed = SettledDevice(ACTION, since=NOW, silent_since=NOW - SOAK)
    tally.add(DeviceId("failed"), failed, 2 * SOAK, NOW)
    assert tally.next_soaked_at == NOW + timedelta(minutes=10)
    assert tally.soaked_at == NOW + timedelta(minutes=40)
    assert tally.pending_gates == {"faults": 1}
