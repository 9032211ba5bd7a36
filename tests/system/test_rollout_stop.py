# SPDX-License-Identifier: Apache-2.0
"""A model fails on the canary, at its golden vectors or later at a gate. No other device gets it."""

from __future__ import annotations

from typing import Any

from demo.world import threshold_model
from tests.daemon.receiver import Receiver
from tests.system.rollout_site import RolloutSite, same_scores

OVER = 200  # inferences
WAVES = {"waves": [{"name": "canary", "count": 1}, {"name": "half", "percent": 50}]}
GATES = [
    {"metric": "score-distance", "atMost": 0.3, "minInferences": OVER},
    {"metric": "anomaly-rate-change", "atMost": 0.4, "minInferences": OVER},
]
SHIFTED = threshold_model([127, -127, 127] * 20, -1)  # passes its golden vectors, but its scores are shifted


def event_received(receiver: Receiver, event: str) -> Any:  # noqa: ANN401 - any JSON value
    while not receiver.taken.empty():
        document = receiver.taken.get_nowait().document
        if document["event"] == event:
            return document
    return None


def check_shown(fleet: RolloutSite, version: str, state: str, canary: str, reason: str) -> None:
    """Commands and the README show the stop."""
    others = len(fleet.site.devices) - 1
    (row,) = fleet.cli("rollout", "list")
    assert (row["state"], row["model"]) == (state, f"vibration@{version}")
    shown = fleet.cli("rollout", "show", "vibration")
    assert (shown["waves"][0]["failed"], sum(wave["due"] for wave in shown["waves"])) == (1, others)
    assert shown["history"][0]["outcome"] == state
    assert not any(wave["open"] for wave in shown["waves"])
    assert canary in {stuck["device"] for stuck in shown["stuck"]}
    explained = fleet.cli("explain", canary)
    assert reason in str(explained), explained
    readme = fleet.world.status_file("README.md")
    assert readme is not None
    assert (
        f"| vibration | vibration@{version} | {'RolledBack' if state == 'taken back' else 'FailureBudgetSpent'} |"
        in readme
    )


def test_a_model_that_fails_its_golden_vectors_stops_at_the_canary(fleet: RolloutSite) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        fleet.notify(url)
        fleet.begin()
        prebaked = fleet.running(fleet.site.devices[0])
        fleet.site.tell_devices("fault * golden=1")
        bad = fleet.roll_out("1.1.0", same_scores(901), **WAVES)
        fleet.wait("the stop", lambda: fleet.has("1.1.0", WithinBudget="FailureBudgetSpent"))
        (canary,) = {sent.device for sent in fleet.traffic.sent}
        fleet.quiet(*fleet.site.devices)
        assert {fleet.running(device) for device in fleet.site.devices} == {prebaked}
        reasons = {device: fleet.reason(device) for device in fleet.site.devices}
        assert reasons.pop(canary) == "Quarantined"
        assert set(reasons.values()) == {"HeldFailureBudget"}
        check_shown(fleet, "1.1.0", "stopped", canary, "golden vectors")
        event = fleet.wait("the event", lambda: event_received(receiver, "stopped"))
        assert (event["model"], event["commit"]) == ("vibration@1.1.0", bad)

        fleet.site.gateway.stop()  # a restarted gateway does not try the failed pack again
        fleet.site.start_gateway()
        fleet.quiet(*fleet.site.devices)
        fleet.site.tell_devices("fault * none")
        fleet.roll_out("1.1.1", same_scores(902), **WAVES)
        fleet.complete("1.1.1")
        event = fleet.wait("the event", lambda: event_received(receiver, "complete"))
        assert event["model"] == "vibration@1.1.1"
        fleet.site.gateway.stop()


def test_a_model_that_fails_a_gate_is_rolled_back_and_stays_rolled_back(fleet: RolloutSite) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        fleet.notify(url)
        fleet.begin()
        prebaked = fleet.running(fleet.site.devices[0])
        bad = fleet.roll_out("1.1.0", SHIFTED, gates=GATES, onFailure="rollback", **WAVES)
        stopped = fleet.wait("the stop", lambda: fleet.has("1.1.0", WithinBudget="RolledBack"))
        assert "1 failed, 0 allowed" in stopped.ready.message
        assert "until Git changes" in stopped.ready.message
        (canary,) = {sent.device for sent in fleet.traffic.sent}
        others = [device for device in fleet.site.devices if device != canary]
        fleet.wait("all held", lambda: {fleet.reason(device) for device in others} == {"HeldRolledBack"})
        fleet.wait("the rollback", lambda: fleet.reason(canary) == "Quarantined")
        fleet.quiet(*fleet.site.devices)
        assert {fleet.running(device) for device in fleet.site.devices} == {prebaked}
        assert len({sent.envelope for sent in fleet.traffic.sent}) == 2  # the update and the rollback
        check_shown(fleet, "1.1.0", "taken back", canary, "score-distance")
        event = fleet.wait("the event", lambda: event_received(receiver, "stopped"))
        assert (event["model"], event["commit"]) == ("vibration@1.1.0", bad)

        fleet.site.gateway.kill()
        fleet.site.start_gateway()
        fleet.quiet(*fleet.site.devices)
        good = fleet.roll_out("1.1.1", same_scores(902), gates=GATES, onFailure="rollback", **WAVES)
        fleet.complete("1.1.1")
        event = fleet.wait("the event", lambda: event_received(receiver, "complete"))
        assert (event["model"], event["commit"]) == ("vibration@1.1.1", good)
        fleet.site.gateway.stop()
