# SPDX-License-Identifier: Apache-2.0
"""Devices fall silent in the middle of a wave, and a minimum of each group must stay available."""

from __future__ import annotations

import itertools
import time

from tests.system.rollout_site import GROUP, RolloutSite, same_scores

SILENT_AFTER = "8s"
OVER = 300  # inferences: each device is at risk for some seconds
WAVES = [{"name": "canary", "count": 1}, {"name": "half", "percent": 50}]
WATCHED = {"waves": WAVES, "gates": [{"metric": "faults", "atMost": 0, "minInferences": OVER}]}


def lose_the_next_two(fleet: RolloutSite, begin: float) -> list[str]:
    """Disconnect the first two devices of the second wave."""
    fleet.wait("the second wave", lambda: len(fleet.traffic.ordered_since(begin)) >= 3)
    victims = [sent.device for sent in fleet.traffic.ordered_since(begin)[1:3]]
    for device in victims:
        fleet.site.tell_devices(f"fault {device} drop=1")
    return victims


def bring_back(fleet: RolloutSite, *devices: str) -> None:
    """Reconnect and restart devices."""
    for device in devices:
        fleet.site.tell_devices(f"fault {device} none")
        fleet.site.tell_devices(f"restart {device}")


def test_lost_devices_count_as_failed_and_groups_keep_their_minimum(fleet: RolloutSite) -> None:
    fleet.begin(silent_after=SILENT_AFTER)
    begin = time.monotonic()
    fleet.roll_out("1.1.0", same_scores(901), failureBudget={"count": 2}, maxAtRisk=20, **WATCHED)
    lost = lose_the_next_two(fleet, begin)
    done = fleet.wait("all other devices", lambda: fleet.has("1.1.0", Complete="Complete"))
    assert (done.facts.report.failed, len(done.facts.report.done)) == (frozenset(lost), 18)
    assert {fleet.reason(device) for device in lost} == {"NotReporting"}

    bring_back(fleet, *lost)
    fleet.wait("all back", lambda: fleet.site.are_ready("1.1.0"))
    begin = time.monotonic()
    fleet.roll_out("1.2.0", same_scores(902), failureBudget={"count": 1}, maxAtRisk=20, **WATCHED)
    lost = lose_the_next_two(fleet, begin)
    stopped = fleet.wait("the stop", lambda: fleet.has("1.2.0", WithinBudget="FailureBudgetSpent"))
    assert stopped.facts.report.failed == frozenset(lost)
    alive = [device for device in fleet.site.devices if device not in lost]
    fleet.quiet(*alive)
    assert len(fleet.traffic.ordered_since(begin)) == 10  # the canary and half of all: the last wave never started

    bring_back(fleet, *lost)
    fleet.wait(
        "all reports",
        lambda: "NotReporting" not in {fleet.reason(device) for device in fleet.site.devices},
    )
    away = min(fleet.group)
    fleet.site.tell_devices(f"fault {away} drop=1")
    fleet.wait("its silence", lambda: fleet.reason(away) == "NotReporting")
    keep = {"minAvailable": [{"label": "line", "count": 4}]}
    begin = time.monotonic()
    fleet.roll_out("1.3.0", same_scores(903), failureBudget={"count": 5}, **keep)
    rest = fleet.group - {away}
    fleet.wait("the group at its minimum", lambda: {fleet.reason(device) for device in rest} == {"HeldMinAvailable"})
    fleet.wait("the other group", lambda: all(fleet.site.is_ready(each, "1.3.0") for each in fleet.others))
    assert not fleet.group & {sent.device for sent in fleet.traffic.ordered_since(begin)}
    bring_back(fleet, away)
    fleet.complete("1.3.0")
    check_one_at_a_time(fleet, begin)


def check_one_at_a_time(fleet: RolloutSite, begin: float) -> None:
    """Four of the five devices in the small group must be available: each order waits for the device before."""
    orders = [sent for sent in fleet.traffic.ordered_since(begin) if sent.device in fleet.group]
    assert len(orders) == len(fleet.group)
    wanted = fleet.running(orders[0].device)
    for before, after in itertools.pairwise(orders):
        assert fleet.traffic.confirmed(before.device, wanted, after.at) is not None, (GROUP, before, after)
