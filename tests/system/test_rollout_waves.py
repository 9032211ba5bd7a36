# SPDX-License-Identifier: Apache-2.0
"""A rollout over four waves with all parts real: in order, suspended, resumed, and reverted in the middle."""

from __future__ import annotations

import time

from demo.site import rollout
from tests.system.rollout_site import GROUP, RolloutSite, same_scores

SOAK_S = 2
OVER = 100  # inferences
WAVES = [
    {"name": "canary", "count": 1, "soak": f"{SOAK_S}s"},
    {"name": "line-b", "selector": {"matchLabels": {"line": GROUP}}},
    {"name": "half", "percent": 60},
]
SIZES = (1, 5, 6, 8)  # the last are the rest
GATES = [
    {"metric": "faults", "atMost": 0, "minInferences": OVER},
    {"metric": "score-distance", "atMost": 0.2, "minInferences": OVER},
    {"metric": "anomaly-rate-change", "atMost": 0.3, "minInferences": OVER},
    {"metric": "inference-rate-ratio", "atLeast": 0.3, "minInferences": OVER},
]
CAREFUL = {"waves": WAVES, "gates": GATES}


def check_order(fleet: RolloutSite, since: float) -> None:
    """Each wave started after all earlier devices had confirmed, soaked and made enough inferences."""
    orders = fleet.traffic.ordered_since(since)
    assert len(orders) == sum(SIZES)
    wanted = fleet.running(orders[0].device)
    started = 0
    for number, size in enumerate(SIZES):
        wave = orders[started : started + size]
        if number == 1:
            assert {sent.device for sent in wave} == fleet.group
        for earlier in orders[:started]:
            confirmed = fleet.traffic.confirmed(earlier.device, wanted, wave[0].at)
            assert confirmed is not None, (number, earlier)
            assert fleet.traffic.inferred(earlier.device, wanted, wave[0].at) >= OVER, (number, earlier)
            assert number != 1 or wave[0].at - confirmed > SOAK_S / 2
        started += size


def test_a_rollout_goes_wave_by_wave_and_can_be_suspended_and_reverted(fleet: RolloutSite) -> None:
    fleet.begin()
    begin = time.monotonic()
    first = fleet.roll_out("1.1.0", same_scores(901), **CAREFUL)
    fleet.complete("1.1.0")
    check_order(fleet, begin)

    begin = time.monotonic()
    fleet.roll_out("1.2.0", same_scores(902), **CAREFUL)
    fleet.wait("the canary", lambda: fleet.traffic.ordered_since(begin))
    fleet.enforces(fleet.world.commit("wait", {"rollout.yaml": rollout("1.2.0", suspend=True, **CAREFUL)}))
    fleet.wait("Held", lambda: fleet.has("1.2.0", Complete="Held"))
    before = fleet.traffic.ordered_since(begin)
    assert len(before) < len(fleet.site.devices)
    fleet.quiet(*fleet.site.devices)
    fleet.world.commit("continue", {"rollout.yaml": rollout("1.2.0", **CAREFUL)})
    fleet.wait("the third wave", lambda: len(fleet.traffic.ordered_since(begin)) > SIZES[0] + SIZES[1])
    assert fleet.traffic.ordered_since(begin)[: len(before)] == before

    fleet.world.run("git", "checkout", "-q", first, "--", "rollout.yaml", cwd=fleet.world.work)
    fleet.enforces(fleet.world.commit("back", {}))
    fleet.complete("1.1.0")
    assert len({fleet.running(device) for device in fleet.site.devices}) == 1
    fleet.quiet(*fleet.site.devices)
