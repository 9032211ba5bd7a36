# SPDX-License-Identifier: Apache-2.0
"""A rollout over four waves with everything real: in order, held, resumed, and called back in the middle."""

from __future__ import annotations

import time

from demo.site import rollout
from tests.system.rollout_site import GROUP, Field, like_the_first

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


def check_order(field: Field, since: float) -> None:
    """Each wave began when all before it had confirmed, soaked, and shown enough inferences: as the broker saw it."""
    orders = field.witness.ordered_since(since)
    assert len(orders) == sum(SIZES)
    wanted = field.running(orders[0].device)
    begun = 0
    for number, size in enumerate(SIZES):
        wave = orders[begun : begun + size]
        if number == 1:
            assert {sent.device for sent in wave} == field.group
        for earlier in orders[:begun]:
            confirmed = field.witness.confirmed(earlier.device, wanted, wave[0].at)
            assert confirmed is not None, (number, earlier)
            assert field.witness.inferred(earlier.device, wanted, wave[0].at) >= OVER, (number, earlier)
            assert number != 1 or wave[0].at - confirmed > SOAK_S / 2
        begun += size


def test_a_good_rollout_goes_wave_by_wave_and_can_be_held_and_called_back(field: Field) -> None:
    field.begin()
    begin = time.monotonic()
    first = field.roll_out("1.1.0", like_the_first(901), **CAREFUL)
    field.complete("1.1.0")
    check_order(field, begin)

    begin = time.monotonic()
    field.roll_out("1.2.0", like_the_first(902), **CAREFUL)
    field.wait("the canary", lambda: field.witness.ordered_since(begin))
    field.enforces(field.world.commit("wait", {"rollout.yaml": rollout("1.2.0", suspend=True, **CAREFUL)}))
    field.wait("Held", lambda: field.says("1.2.0", Complete="Held"))
    before = field.witness.ordered_since(begin)
    assert len(before) < len(field.site.devices)
    field.quiet(*field.site.devices)
    field.world.commit("go on", {"rollout.yaml": rollout("1.2.0", **CAREFUL)})
    field.wait("the third wave", lambda: len(field.witness.ordered_since(begin)) > SIZES[0] + SIZES[1])
    assert field.witness.ordered_since(begin)[: len(before)] == before

    field.world.run("git", "checkout", "-q", first, "--", "rollout.yaml", cwd=field.world.work)
    field.enforces(field.world.commit("back", {}))
    field.complete("1.1.0")
    assert len({field.running(device) for device in field.site.devices}) == 1
    field.quiet(*field.site.devices)
