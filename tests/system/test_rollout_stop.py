# SPDX-License-Identifier: Apache-2.0
"""A model that fails on the canary: at its golden vectors, or only later in the field. Nobody else is touched."""

from __future__ import annotations

from typing import Any

from demo.world import threshold_model
from tests.daemon.receiver import Receiver
from tests.system.rollout_site import Field, like_the_first

OVER = 200  # inferences
WAVES = {"waves": [{"name": "canary", "count": 1}, {"name": "half", "percent": 50}]}
GATES = [
    {"metric": "score-distance", "atMost": 0.3, "overInferences": OVER},
    {"metric": "anomaly-rate-change", "atMost": 0.4, "overInferences": OVER},
]
SHIFTED = threshold_model([127, -127, 127] * 20, -1)  # it computes just what it should, and that is no use here


def noticed(receiver: Receiver, event: str) -> Any:  # noqa: ANN401 - any JSON value
    while not receiver.taken.empty():
        document = receiver.taken.get_nowait().document
        if document["event"] == event:
            return document
    return None


def check_told(field: Field, version: str, state: str, canary: str, word: str) -> None:
    """What people are told is what is so."""
    others = len(field.site.devices) - 1
    (row,) = field.cli("rollout", "list")
    assert (row["state"], row["model"]) == (state, f"vibration@{version}")
    shown = field.cli("rollout", "show", "vibration")
    assert (shown["waves"][0]["failed"], sum(wave["due"] for wave in shown["waves"])) == (1, others)
    assert shown["history"][0]["outcome"] == state
    assert not any(wave["open"] for wave in shown["waves"])
    assert canary in {stuck["device"] for stuck in shown["stuck"]}
    explained = field.cli("explain", canary)
    assert word in str(explained), explained
    readme = field.world.status_file("README.md")
    assert readme is not None
    assert (
        f"| vibration | vibration@{version} | {'RolledBack' if state == 'rolled-back' else 'FailureBudgetSpent'} |"
        in readme
    )


def test_a_model_that_fails_its_golden_vectors_ends_with_the_canary(field: Field) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        field.notify(url)
        field.begin()
        baked = field.running(field.site.devices[0])
        field.site.tell_devices("fault * golden=1")
        bad = field.roll_out("1.1.0", like_the_first(901), **WAVES)
        field.wait("the stop", lambda: field.says("1.1.0", WithinBudget="FailureBudgetSpent"))
        (canary,) = {sent.device for sent in field.witness.sent}
        field.quiet(*field.site.devices)
        assert {field.running(device) for device in field.site.devices} == {baked}
        reasons = {device: field.reason(device) for device in field.site.devices}
        assert reasons.pop(canary) == "Quarantined"
        assert set(reasons.values()) == {"HeldFailureBudget"}
        check_told(field, "1.1.0", "stopped", canary, "golden vectors")
        notice = field.wait("the notice", lambda: noticed(receiver, "stopped"))
        assert (notice["model"], notice["commit"]) == ("vibration@1.1.0", bad)

        field.site.gateway.stop()  # what failed is not tried again by a gateway that was restarted
        field.site.start_gateway()
        field.quiet(*field.site.devices)
        field.site.tell_devices("fault * none")
        field.roll_out("1.1.1", like_the_first(902), **WAVES)
        field.complete("1.1.1")
        notice = field.wait("the notice", lambda: noticed(receiver, "complete"))
        assert notice["model"] == "vibration@1.1.1"
        field.site.gateway.stop()


def test_a_model_that_shifts_in_the_field_is_taken_back_and_stays_so(field: Field) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        field.notify(url)
        field.begin()
        baked = field.running(field.site.devices[0])
        bad = field.roll_out("1.1.0", SHIFTED, gates=GATES, onFailure="rollback", **WAVES)
        stopped = field.wait("the stop", lambda: field.says("1.1.0", WithinBudget="RolledBack"))
        assert "1 failed, 0 allowed" in stopped.ready.message
        assert "until Git changes" in stopped.ready.message
        (canary,) = {sent.device for sent in field.witness.sent}
        others = [device for device in field.site.devices if device != canary]
        field.wait("all held", lambda: {field.reason(device) for device in others} == {"HeldRolledBack"})
        field.wait("it is back", lambda: field.reason(canary) == "Quarantined")
        field.quiet(*field.site.devices)
        assert {field.running(device) for device in field.site.devices} == {baked}
        assert len({sent.envelope for sent in field.witness.sent}) == 2  # there, and back
        check_told(field, "1.1.0", "rolled-back", canary, "score-distance")
        notice = field.wait("the notice", lambda: noticed(receiver, "stopped"))
        assert (notice["model"], notice["commit"]) == ("vibration@1.1.0", bad)

        field.site.gateway.kill()
        field.site.start_gateway()
        field.quiet(*field.site.devices)
        good = field.roll_out("1.1.1", like_the_first(902), gates=GATES, onFailure="rollback", **WAVES)
        field.complete("1.1.1")
        notice = field.wait("the notice", lambda: noticed(receiver, "complete"))
        assert (notice["model"], notice["commit"]) == ("vibration@1.1.1", good)
        field.site.gateway.stop()
