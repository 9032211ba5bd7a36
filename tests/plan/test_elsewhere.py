# SPDX-License-Identifier: Apache-2.0
"""What is known of devices that another gateway serves, and in which words it is waited for."""

from __future__ import annotations

import pytest

from reconciler.model import DeviceId, GatewayId, Observed, PeerReport, RolloutId, RolloutReport
from reconciler.plan.device.peers import peer_devices, stopped_by_peer
from reconciler.plan.device.verdict import DeviceStanding
from tests.plan.fleets import NOW

SOUTH, PUMPS = GatewayId("south"), RolloutId("pumps")
PUMP = DeviceId("pump-1")
ONLY = frozenset({PUMP})


def observed(word: RolloutReport | None) -> Observed:
    return Observed(gateway=GatewayId("north"), peers={SOUTH: PeerReport({} if word is None else {PUMPS: word})})


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Observed(), "gateway south, never heard"),
        (observed(None), "gateway south, which says nothing of it"),
        (
            observed(RolloutReport("old", at=NOW)),
            "gateway south, whose last word of 2026-11-21 12:00:00 UTC is of another",
        ),
        (observed(RolloutReport("old")), "gateway south, whose last word is of another version of it"),
        (observed(RolloutReport("new", at=NOW)), "gateway south, no news since 2026-11-21 12:00:00 UTC"),
        (observed(RolloutReport("new")), "gateway south, no news"),
    ],
)
def test_it_is_said_for_whom_and_since_when(seen: Observed, words: str) -> None:
    assert peer_devices(seen, PUMPS, SOUTH, "new").who.startswith(words)


@pytest.mark.parametrize(
    ("word", "standing", "away"),
    [
        (RolloutReport("new", done=ONLY), DeviceStanding.SETTLED, False),
        (RolloutReport("new", begun=ONLY), DeviceStanding.DUE, True),
        (RolloutReport("new", soaking=ONLY), DeviceStanding.DUE, False),
        (RolloutReport("new", due=ONLY), DeviceStanding.DUE, False),
        (RolloutReport("new", failed=ONLY), DeviceStanding.FAILED, True),
        (RolloutReport("new", missing=ONLY), DeviceStanding.MISSING, True),
        (RolloutReport("new", out=ONLY), DeviceStanding.OUT, True),
        (RolloutReport("new"), DeviceStanding.DUE, True),  # nobody knows: it opens nothing, and counts as away
        (RolloutReport("old", done=ONLY), DeviceStanding.DUE, True),
        (RolloutReport("new", done=ONLY, failed=ONLY), DeviceStanding.SETTLED, False),
    ],
)
def test_of_its_devices_it_is_believed(word: RolloutReport, standing: DeviceStanding, *, away: bool) -> None:
    verdict = peer_devices(observed(word), PUMPS, SOUTH, "new").verdict(PUMP)
    assert (verdict.standing, verdict.away) == (standing, away)
    assert verdict.elsewhere.startswith("gateway south")
    assert verdict.proven is (standing is DeviceStanding.SETTLED)


def test_a_stop_is_told_with_the_gateway_that_said_it_first() -> None:
    stopped = PeerReport({PUMPS: RolloutReport("new", stopped="stopped: 2 failed, 0 allowed")})
    after = PeerReport({PUMPS: RolloutReport("new", stopped="stopped: 2 failed, 0 allowed (at gateway west)")})
    assert stopped_by_peer({SOUTH: stopped}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway south)"
    assert stopped_by_peer({SOUTH: after}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway west)"
    assert stopped_by_peer({SOUTH: stopped}, PUMPS, "newer") == ""
