# SPDX-License-Identifier: Apache-2.0
"""The explanation of one device, from values alone."""

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
from reconciler.review.explain import DaemonState, Explanation, ExplanationInputs, explain, rollout_of
from reconciler.review.reported_state import GatewayReport, ReportedState
from tests.plan.example_fleet import ESP32, EVERYWHERE, HALL, NOW, SEALED, V1, V2, device, fleet

PUMP = device(1)
DIGEST = "ab" * 32


def locate(*path: Hashable) -> str:
    return "/".join(map(str, path))


def explained(
    desired: Desired,
    *,
    status: DeviceStatus | None = None,
    daemon: DaemonState | None = None,
    enforces: str | None = None,
    name: DeviceId = PUMP.name,
) -> Explanation:
    gateways = (
        {} if enforces is None else {HALL.name: GatewayReport(HALL.name, NOW, enforces, "Ready", "", (), (), 0, {})}
    )
    return explain(name, ExplanationInputs(desired, ReportedState(gateways), status, daemon, locate), NOW)


def status_of(desired: Desired, action: NoChange | Hold, model: str | None = str(V2)) -> DeviceStatus:
    seen = ObservedDevice(NOW, Phase.CONFIRMED, None)
    return device_status(DeviceFacts(action, seen, model), PassStamp(NOW, desired.commit), None)


def statements(explanation: Explanation, document: str) -> list[str]:
    return [each.text for each in explanation.desired if each.document == document]


def test_a_device_without_gateway_and_rollout() -> None:
    explanation = explained(fleet([PUMP], rollouts=(), gateways=()))
    assert statements(explanation, "Gateway") == ["no gateway serves the device"]
    assert statements(explanation, "Rollout") == ["no rollout selects the device"]
    assert statements(explanation, "Model") == []
    assert explanation.comparison == ()


@pytest.mark.parametrize(
    ("link", "link_text"),
    [(SerialAddress("/dev/ttyS0", 2400, 7), "/dev/ttyS0 at 2400 baud, address 7"), (PUMP.link, "MQTT")],
)
def test_the_link_of_a_device(link: SerialAddress, link_text: str) -> None:
    (text,) = statements(explained(fleet([replace(PUMP, link=link)])), "Device")
    assert text == f"has type esp32, reached over {link_text}"


def test_a_suspended_rollout_takes_precedence_over_another() -> None:
    above = replace(EVERYWHERE, name=RolloutId("above"), priority=5, suspend=True, parameters={"extra": 1})
    explanation = explained(fleet([PUMP], rollouts=(EVERYWHERE, above)))
    assert statements(explanation, "Rollout") == [
        "selects the device; its priority 5 takes precedence over everywhere",
        "sets the model m@2",
        "is suspended",
        "sets extra to 1",
    ]
    assert rollout_of(fleet([PUMP], rollouts=(EVERYWHERE, above)), PUMP.name) == "above"


def test_parameters_of_a_rollout_override_those_of_the_model() -> None:
    assert "sets threshold to 0.5" in statements(explained(fleet([PUMP])), "Model")
    own = replace(EVERYWHERE, parameters={"threshold": 0.75})
    assert "sets threshold to 0.75, overriding the model's 0.5" in statements(
        explained(fleet([PUMP], rollouts=(own,))), "Rollout"
    )


def test_requirements_are_compared_with_the_device_type() -> None:
    desired = fleet([PUMP])
    needs = Needs(frozenset({"CONV_2D", "LSTM"}), slot_bytes=5000)
    desired = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=needs)})
    found = {each.subject: each for each in explained(desired).comparison}
    assert found["slot bytes"].matches is False
    assert "arena bytes" not in found  # the model does not declare it
    assert (found["operators"].observed, found["operators"].matches) == ("lacks LSTM", False)
    assert (found["wave"].desired, found["wave"].matches) == ("none: the device can never run the model", None)
    assert (found["model"].observed, found["model"].matches) == ("not reported", None)
    nothing = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=Needs())})
    assert {each.subject for each in explained(nothing).comparison} == {"model", "wave"}


def test_the_wave_is_open_or_not() -> None:
    waves = (Wave("canary", count=1), Wave("rest", percent=100))
    desired = fleet([device(1), device(2)], rollouts=(replace(EVERYWHERE, waves=waves),))
    waves_of = [explained(desired, name=name).comparison[-1] for name in desired.devices]
    assert {(each.desired, each.observed, each.matches) for each in waves_of} == {
        ("wave 1 of 2 (canary)", "open", True),
        ("wave 2 of 2 (rest)", "not open", False),
    }


def test_the_running_model_is_named_if_it_is_known() -> None:
    desired = fleet([PUMP])
    settled = NoChange(PUMP.name, "runs it")
    assert explained(desired, status=status_of(desired, settled)).comparison[0].matches is True
    unknown = explained(desired, status=status_of(desired, settled, model=None)).comparison[0]
    assert (unknown.observed, unknown.matches) == ("nothing", False)


def test_the_state_of_the_daemon_is_included() -> None:
    desired = fleet([PUMP])
    daemon = DaemonState(
        running=True,
        seen_at=NOW - timedelta(minutes=3),
        in_progress="m@2 is to be transferred",
        waiting="lost: no answer",
        last_order="sequence 4",
        failures={DIGEST: "the trial failed with -31"},
    )
    hold = Hold(PUMP.name, RolloutId("everywhere"), HoldReason.WAVE, "its wave is not open")
    explanation = explained(desired, status=status_of(desired, hold), daemon=daemon, enforces=desired.commit)
    events = [each.text for each in explanation.history]
    assert "the last order: sequence 4" in events
    assert f"{DIGEST[:12]} failed on the device: the trial failed with -31" in events
    assert explanation.history[-1] == replace(
        explanation.history[-1], at=NOW - timedelta(minutes=3), text="last report"
    )
    assert explanation.next == (
        "in progress: m@2 is to be transferred",
        "waiting to retry: lost: no answer",
        "HeldWave: its wave is not open",
    )


def test_a_daemon_that_does_not_run_comes_first() -> None:
    desired = fleet([PUMP])
    settled = status_of(desired, NoChange(PUMP.name, "runs it"))
    explanation = explained(desired, status=settled, daemon=DaemonState(), enforces=desired.commit)
    assert explanation.next == (
        "the daemon of this gateway is not running: nothing happens until it starts",
        "no change until Git changes",
    )
    assert not any(each.text == "last report" for each in explanation.history)


def test_without_a_status_the_effect_of_the_commit_is_shown() -> None:
    desired = fleet([PUMP])
    silent = "blocked: has never reported; m@2 waits for it"
    assert explained(desired).next == (
        f"its gateway has committed no status; with commit {desired.commit[:12]} it would: {silent}",
    )
    assert explained(desired, enforces=desired.commit).next == (silent,)
    (behind,) = explained(desired, enforces="").next
    assert behind.startswith("gateway hall enforces nothing; with cccccccccccc it would: blocked: ")
    unwanted = fleet([PUMP], rollouts=())
    (nothing,) = explained(unwanted, enforces=unwanted.commit).next
    assert nothing.startswith("no change: ")


def test_the_device_type_shows_how_it_is_updated() -> None:
    sealed = replace(PUMP, type=SEALED.name)
    rollout = Rollout(RolloutId("r"), V1, Selector(), fallback=Fallback.REPORT)
    (text,) = statements(explained(fleet([sealed], rollouts=(rollout,))), "DeviceType")
    assert (
        text == f"has a slot of {ESP32.slot_bytes:,} bytes and an arena of {ESP32.arena_bytes:,} bytes; updates: none"
    )
