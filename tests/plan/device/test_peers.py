# SPDX-License-Identifier: Apache-2.0
"""Devices that another gateway serves: verdicts from its reports, and how waves name it."""

from __future__ import annotations

import pytest

from reconciler.model import DeviceId, GatewayId, Observed, PeerReport, RolloutId, RolloutReport
from reconciler.plan.device.peers import is_peer_device, peer_devices, stopped_by_peer
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)
from tests.plan.example_fleet import NOW

SOUTH, PUMPS = GatewayId("south"), RolloutId("pumps")
PUMP = DeviceId("pump-1")
ONLY = frozenset({PUMP})


def observed(report: RolloutReport | None) -> Observed:
    return Observed(gateway=GatewayId("north"), peers={SOUTH: PeerReport({} if report is None else {PUMPS: report})})


@pytest.mark.parametrize(
    ("seen", "description"),
    [
        (Observed(), "gateway south, which has never reported"),
        (observed(None), "gateway south, which does not report this rollout"),
        (
            observed(RolloutReport("old", at=NOW)),
            "gateway south, whose last report of 2026-11-21 12:00:00 UTC is about another",
        ),
        (observed(RolloutReport("old")), "gateway south, whose last report is about another revision"),
        (observed(RolloutReport("new", at=NOW)), "gateway south, unchanged since 2026-11-21 12:00:00 UTC"),
        (observed(RolloutReport("new")), "gateway south, unchanged"),
    ],
)
def test_the_description_names_the_gateway_and_the_age_of_its_report(seen: Observed, description: str) -> None:
    assert peer_devices(seen, PUMPS, SOUTH, "new").description.startswith(description)


@pytest.mark.parametrize(
    ("report", "expected", "away"),
    [
        (RolloutReport("new", done=ONLY), SettledDevice, False),
        (RolloutReport("new", begun=ONLY), DueDevice, True),
        (RolloutReport("new", soaking=ONLY), DueDevice, False),
        (RolloutReport("new", due=ONLY), DueDevice, False),
        (RolloutReport("new", failed=ONLY), FailedDevice, True),
        (RolloutReport("new", missing=ONLY), MissingDevice, True),
        (RolloutReport("new", out=ONLY), OutDevice, True),
        (RolloutReport("new"), DueDevice, True),  # unknown: it opens no wave, and counts as away
        (RolloutReport("old", done=ONLY), DueDevice, True),
        (RolloutReport("new", done=ONLY, failed=ONLY), SettledDevice, False),
    ],
)
def test_a_gateways_report_decides_about_its_devices(
    report: RolloutReport, expected: type[DeviceVerdict], *, away: bool
) -> None:
    verdict = peer_devices(observed(report), PUMPS, SOUTH, "new").verdict(PUMP)
    assert isinstance(verdict, expected)
    assert verdict.away is away
    assert verdict.peer.startswith("gateway south")


def test_a_stop_names_the_gateway_that_stopped_first() -> None:
    stopped = PeerReport({PUMPS: RolloutReport("new", stopped="stopped: 2 failed, 0 allowed")})
    after = PeerReport({PUMPS: RolloutReport("new", stopped="stopped: 2 failed, 0 allowed (at gateway west)")})
    assert stopped_by_peer({SOUTH: stopped}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway south)"
    assert stopped_by_peer({SOUTH: after}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway west)"
    assert stopped_by_peer({SOUTH: stopped}, PUMPS, "newer") == ""
    assert stopped_by_peer({SOUTH: stopped}, PUMPS, "ew") == ""
    assert stopped_by_peer({SOUTH: PeerReport(), GatewayId("west"): stopped}, PUMPS, "new").endswith("gateway west)")


def test_a_report_counts_only_for_exactly_its_revision() -> None:
    assert peer_devices(observed(RolloutReport("renew", done=ONLY)), PUMPS, SOUTH, "new").report is None


def test_a_device_that_is_being_updated_is_at_risk() -> None:
    for report in (RolloutReport("new", begun=ONLY), RolloutReport("new", soaking=ONLY)):
        verdict = peer_devices(observed(report), PUMPS, SOUTH, "new").verdict(PUMP)
        assert isinstance(verdict, DueDevice)
        assert verdict.begun


def test_the_devices_of_an_observer_of_all_have_no_peer() -> None:
    assert not is_peer_device(Observed(), SOUTH)
    assert is_peer_device(Observed(gateway=GatewayId("north")), SOUTH)
    assert not is_peer_device(Observed(gateway=SOUTH), SOUTH)
