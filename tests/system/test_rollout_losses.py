# SPDX-License-Identifier: Apache-2.0
"""Devices that fall silent in the middle of a wave, and groups of which enough must work meanwhile."""

from __future__ import annotations

import itertools
import time

from tests.system.rollout_site import GROUP, Field, like_the_first

SILENT_AFTER = "8s"
OVER = 300  # inferences: for some seconds each device is at risk
WAVES = [{"name": "canary", "count": 1}, {"name": "half", "percent": 50}]
WATCHED = {"waves": WAVES, "gates": [{"metric": "faults", "atMost": 0, "overInferences": OVER}]}


def lose_the_next_two(field: Field, begin: float) -> list[str]:
    """Cut the first two devices off that are ordered in the second wave."""
    field.wait("the second wave", lambda: len(field.witness.ordered_since(begin)) >= 3)
    victims = [sent.device for sent in field.witness.ordered_since(begin)[1:3]]
    for device in victims:
        field.site.tell_devices(f"fault {device} drop=1")
    return victims


def bring_back(field: Field, *devices: str) -> None:
    """Somebody presses their buttons: they start again, and say so."""
    for device in devices:
        field.site.tell_devices(f"fault {device} none")
        field.site.tell_devices(f"restart {device}")


def test_devices_that_die_in_a_wave_count_and_groups_keep_enough(field: Field) -> None:
    field.begin(silent_after=SILENT_AFTER)
    begin = time.monotonic()
    field.roll_out("1.1.0", like_the_first(901), budget={"count": 2}, maxAtRisk=20, **WATCHED)
    lost = lose_the_next_two(field, begin)
    done = field.wait("all others", lambda: field.says("1.1.0", Complete="Complete"))
    assert (done.facts.word.failed, len(done.facts.word.done)) == (frozenset(lost), 18)
    assert {field.reason(device) for device in lost} == {"NotReporting"}

    bring_back(field, *lost)
    field.wait("all back", lambda: field.site.are_ready("1.1.0"))
    begin = time.monotonic()
    field.roll_out("1.2.0", like_the_first(902), budget={"count": 1}, maxAtRisk=20, **WATCHED)
    lost = lose_the_next_two(field, begin)
    stopped = field.wait("the stop", lambda: field.says("1.2.0", WithinBudget="FailureBudgetSpent"))
    assert stopped.facts.word.failed == frozenset(lost)
    alive = [device for device in field.site.devices if device not in lost]
    field.quiet(*alive)
    assert len(field.witness.ordered_since(begin)) == 10  # the canary and half of all: the last wave never began

    bring_back(field, *lost)
    field.wait("all heard", lambda: "NotReporting" not in {field.reason(device) for device in field.site.devices})
    away = min(field.group)
    field.site.tell_devices(f"fault {away} drop=1")
    field.wait("it is missed", lambda: field.reason(away) == "NotReporting")
    keep = {"minAvailable": [{"label": "line", "count": 4}]}
    begin = time.monotonic()
    field.roll_out("1.3.0", like_the_first(903), budget={"count": 5}, **keep)
    rest = field.group - {away}
    field.wait("none to spare", lambda: {field.reason(device) for device in rest} == {"HeldMinAvailable"})
    field.wait("the other group", lambda: all(field.site.is_ready(each, "1.3.0") for each in field.others))
    assert not field.group & {sent.device for sent in field.witness.ordered_since(begin)}
    bring_back(field, away)
    field.complete("1.3.0")
    check_one_at_a_time(field, begin)


def check_one_at_a_time(field: Field, begin: float) -> None:
    """Of the five in the small group, four must work: each order waits for the device before."""
    orders = [sent for sent in field.witness.ordered_since(begin) if sent.device in field.group]
    assert len(orders) == len(field.group)
    wanted = field.running(orders[0].device)
    for before, after in itertools.pairwise(orders):
        assert field.witness.confirmed(before.device, wanted, after.at) is not None, (GROUP, before, after)
