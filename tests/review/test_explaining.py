# SPDX-License-Identifier: Apache-2.0
"""The chain of one device, from values alone: who wants what, what was found, and what comes next."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    Desired,
    DeviceId,
    Fallback,
    Hold,
    HoldReason,
    Needs,
    NoChange,
    ObservedDevice,
    Phase,
    Rollout,
    RolloutId,
    Selector,
    SerialAddress,
    Wave,
)
from reconciler.report.device_status import DeviceFacts, DeviceStatus, PassStamp, device_status
from reconciler.review.explain import Daemon, Explanation, Known, explain, rollout_of
from reconciler.review.reported_state import GatewayReport, ReportedState
from tests.plan.example_fleet import ESP32, EVERYWHERE, HALL, NOW, SEALED, V1, V2, device, fleet

PUMP = device(1)
DIGEST = "ab" * 32


def where(*place: Hashable) -> str:
    return "/".join(map(str, place))


def explained(
    desired: Desired,
    *,
    status: DeviceStatus | None = None,
    daemon: Daemon | None = None,
    enforces: str | None = None,
    name: DeviceId = PUMP.name,
) -> Explanation:
    gateways = (
        {} if enforces is None else {HALL.name: GatewayReport(HALL.name, NOW, enforces, "Ready", "", (), (), 0, {})}
    )
    return explain(name, Known(desired, ReportedState(gateways), status, daemon, where), NOW)


def status_of(desired: Desired, action: NoChange | Hold, model: str | None = str(V2)) -> DeviceStatus:
    seen = ObservedDevice(NOW, Phase.CONFIRMED, None)
    return device_status(DeviceFacts(action, seen, model), PassStamp(NOW, desired.commit), None)


def says(told: Explanation, document: str) -> list[str]:
    return [each.says for each in told.wants if each.document == document]


def test_a_device_that_nobody_serves_or_wants_anything_of() -> None:
    told = explained(fleet([PUMP], rollouts=(), gateways=()))
    assert says(told, "Gateway") == ["no gateway serves it"]
    assert says(told, "Rollout") == ["no rollout wants anything of it"]
    assert says(told, "Model") == []
    assert told.compared == ()


@pytest.mark.parametrize(
    ("link", "words"),
    [(SerialAddress("/dev/ttyS0", 2400, 7), "/dev/ttyS0 at 2400 baud, address 7"), (PUMP.link, "MQTT")],
)
def test_how_a_device_is_reached(link: SerialAddress, words: str) -> None:
    (told,) = says(explained(fleet([replace(PUMP, link=link)])), "Device")
    assert told == f"is of type esp32, reached over {words}"


def test_a_rollout_goes_over_another_and_is_suspended() -> None:
    above = replace(EVERYWHERE, name=RolloutId("above"), priority=5, suspend=True, parameters={"extra": 1})
    told = explained(fleet([PUMP], rollouts=(EVERYWHERE, above)))
    assert says(told, "Rollout") == [
        "has it; its priority 5 goes over everywhere",
        "wants m@2",
        "is suspended",
        "wants extra 1",
    ]
    assert rollout_of(fleet([PUMP], rollouts=(EVERYWHERE, above)), PUMP.name) == "above"


def test_parameters_of_the_model_and_of_the_rollout_over_them() -> None:
    assert "wants threshold 0.5" in says(explained(fleet([PUMP])), "Model")
    own = replace(EVERYWHERE, parameters={"threshold": 0.75})
    assert "wants threshold 0.75, over the model's 0.5" in says(explained(fleet([PUMP], rollouts=(own,))), "Rollout")


def test_what_a_model_needs_beside_what_there_is() -> None:
    desired = fleet([PUMP])
    needs = Needs(frozenset({"CONV_2D", "LSTM"}), slot_bytes=5000)
    desired = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=needs)})
    found = {each.what: each for each in explained(desired).compared}
    assert found["slot bytes"].same is False
    assert "arena bytes" not in found  # it says nothing of it
    assert (found["operators"].found, found["operators"].same) == ("lacks LSTM", False)
    assert (found["wave"].wanted, found["wave"].same) == ("none: it can never have the model", None)
    assert (found["model"].found, found["model"].same) == ("not told", None)
    nothing = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=Needs())})
    assert {each.what for each in explained(nothing).compared} == {"model", "wave"}


def test_the_wave_is_told_open_or_not() -> None:
    waves = (Wave("canary", count=1), Wave("rest", percent=100))
    desired = fleet([device(1), device(2)], rollouts=(replace(EVERYWHERE, waves=waves),))
    told = [explained(desired, name=name).compared[-1] for name in desired.devices]
    assert {(each.wanted, each.found, each.same) for each in told} == {
        ("wave 1 of 2 (canary)", "open", True),
        ("wave 2 of 2 (rest)", "not open", False),
    }


def test_what_runs_is_named_as_well_as_it_is_known() -> None:
    desired = fleet([PUMP])
    settled = NoChange(PUMP.name, "runs it")
    assert explained(desired, status=status_of(desired, settled)).compared[0].same is True
    unknown = explained(desired, status=status_of(desired, settled, model=None)).compared[0]
    assert (unknown.found, unknown.same) == ("nothing", False)


def test_what_the_daemon_knows_is_told_too() -> None:
    desired = fleet([PUMP])
    daemon = Daemon(
        working=True,
        seen_at=NOW - timedelta(minutes=3),
        in_progress="m@2 is to be transferred",
        waiting="lost: no answer",
        ordered="sequence 4",
        failures={DIGEST: "the trial failed with -31"},
    )
    hold = Hold(PUMP.name, RolloutId("everywhere"), HoldReason.WAVE, "its wave is not open")
    told = explained(desired, status=status_of(desired, hold), daemon=daemon, enforces=desired.commit)
    done = [each.what for each in told.done]
    assert "the last order was sequence 4" in done
    assert f"{DIGEST[:12]} failed on it: the trial failed with -31" in done
    assert told.done[-1] == replace(told.done[-1], at=NOW - timedelta(minutes=3), what="reported last")
    assert told.next == (
        "under way: m@2 is to be transferred",
        "will be tried again: lost: no answer",
        "HeldWave: its wave is not open",
    )


def test_a_daemon_that_does_not_work_is_told_first() -> None:
    desired = fleet([PUMP])
    settled = status_of(desired, NoChange(PUMP.name, "runs it"))
    told = explained(desired, status=settled, daemon=Daemon(), enforces=desired.commit)
    assert told.next == (
        "no daemon works on this gateway at the moment: nothing happens until it does",
        "nothing, until Git changes",
    )
    assert not any(each.what == "reported last" for each in told.done)


def test_what_the_commit_would_do_is_told_where_no_status_says_it() -> None:
    desired = fleet([PUMP])
    silent = "cant: has never reported; m@2 waits for it"
    assert explained(desired).next == (
        f"its gateway has committed no status; by commit {desired.commit[:12]} it would: {silent}",
    )
    assert explained(desired, enforces=desired.commit).next == (silent,)
    (behind,) = explained(desired, enforces="").next
    assert behind.startswith("gateway hall enforces nothing; with cccccccccccc it would: blocked: ")
    unwanted = fleet([PUMP], rollouts=())
    (nothing,) = explained(unwanted, enforces=unwanted.commit).next
    assert nothing.startswith("nothing to do: ")


def test_a_sealed_device_says_how_it_is_updated() -> None:
    sealed = replace(PUMP, type=SEALED.name)
    rollout = Rollout(RolloutId("r"), V1, Selector(), fallback=Fallback.REPORT)
    (told,) = says(explained(fleet([sealed], rollouts=(rollout,))), "DeviceType")
    assert told == f"has a slot of {ESP32.slot_bytes:,} and an arena of {ESP32.arena_bytes:,} bytes; updates: none"
