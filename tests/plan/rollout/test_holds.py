# SPDX-License-Identifier: Apache-2.0
"""The holds of a device, and the order of their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Device,
    DeviceId,
    FailureBudget,
    Fallback,
    Fleet,
    Gateway,
    GatewayId,
    Hold,
    HoldReason,
    Install,
    MaintenanceWindow,
    NoChange,
    Rollout,
    RolloutId,
    Selector,
    Wave,
)
from reconciler.plan import plan
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    HALL,
    NOW,
    OTHER,
    SEALED,
    TINY,
    V1,
    V2,
    artifact,
    capabilities_of,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

NEVER_NOW = MaintenanceWindow(("Wed",), "01:00", 60)
NOT_NOW = (NEVER_NOW,)
NOON = MaintenanceWindow(("Sat",), "11:00", 7200)
WAVED = replace(EVERYWHERE, waves=(Wave("canary", count=1),))
DONE = seen(digest_of(V2, ESP32.name), parameters={"threshold": 0.5})
PAIR = [device(1), device(2)]


def actions(
    rollouts: Sequence[Rollout],
    devices: Sequence[Device] = (),
    *,
    gateways: Sequence[Gateway] = (HALL,),
    defaults: Fleet | None = None,
) -> dict[str, Action]:
    """Plan for devices that all report, with nothing running."""
    who = devices or [device(1)]
    desired = fleet(who, rollouts, gateways=gateways, defaults=defaults)
    observed = observe(
        {each.name: seen(capabilities=capabilities_of(desired.types[each.type])) for each in who}, *BUILT
    )
    return {action.device: action for action in plan(desired, observed, NOW)}


def reason(
    rollouts: Sequence[Rollout], *, gateways: Sequence[Gateway] = (HALL,), defaults: Fleet | None = None
) -> HoldReason | None:
    action = actions(rollouts, gateways=gateways, defaults=defaults)["d001"]
    return action.reason if isinstance(action, Hold) else None


def test_a_device_without_holds_is_updated() -> None:
    assert reason([EVERYWHERE]) is None


def test_suspended() -> None:
    assert reason([replace(EVERYWHERE, suspend=True)]) is HoldReason.SUSPENDED


def test_suspension_does_not_affect_settled_devices() -> None:
    desired = fleet([device(1)], [replace(EVERYWHERE, suspend=True)])
    (action,) = plan(desired, observe({"d001": DONE}, *BUILT), NOW)
    assert isinstance(action, NoChange)


def test_the_rollout_with_the_highest_priority_claims_the_device() -> None:
    low = replace(EVERYWHERE, name=RolloutId("a-low"), model=V1)
    action = actions([low, replace(EVERYWHERE, priority=1)])["d001"]
    assert isinstance(action, Install)
    assert action.rollout == "everywhere"


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("fleets", "gateways", "rollouts", "held"),
    [
        ((), (), (), False),
        (NOT_NOW, (), (), True),
        ((), NOT_NOW, (), True),
        ((), (), NOT_NOW, True),
        (NOT_NOW, (NOON,), (), False),  # the fleet's windows count only if the others have none
        (NOT_NOW, (), (NOON,), False),
        ((), (NOON,), NOT_NOW, True),
        ((), NOT_NOW, (NOON,), True),
        (NOT_NOW, (NOON,), (NOON,), False),
        ((), (NEVER_NOW, NOON), (), False),  # one of several is enough
    ],
)
def test_windows(
    fleets: tuple[MaintenanceWindow, ...],
    gateways: tuple[MaintenanceWindow, ...],
    rollouts: tuple[MaintenanceWindow, ...],
    *,
    held: bool,
) -> None:
    found = reason(
        [replace(EVERYWHERE, windows=rollouts)],
        gateways=[replace(HALL, windows=gateways)],
        defaults=Fleet("plant", windows=fleets),
    )
    assert found is (HoldReason.WINDOW if held else None)


def test_a_closed_window_says_when_it_opens() -> None:
    action = actions([replace(EVERYWHERE, windows=NOT_NOW)])["d001"]
    assert action.why == "outside its maintenance windows; the next opens Wed 2026-11-25 01:00 UTC"


def test_each_device_follows_the_windows_of_its_gateway() -> None:
    north = Gateway(GatewayId("north"), Selector(match_labels={"hall": "n"}), windows=NOT_NOW)
    south = Gateway(GatewayId("south"), Selector(match_labels={"hall": "s"}), windows=(NOON,))
    found = actions([EVERYWHERE], [device(1, hall="n"), device(2, hall="s")], gateways=[north, south])
    assert isinstance(found["d001"], Hold)
    assert isinstance(found["d002"], Install)


def test_a_critical_rollout_ignores_windows_and_nothing_else() -> None:
    critical = replace(EVERYWHERE, critical=True, windows=NOT_NOW)
    assert reason([critical]) is None
    assert reason([replace(critical, suspend=True)]) is HoldReason.SUSPENDED


# ---------------------------------------------------------------- waves and budgets


def test_later_waves_wait() -> None:
    found = actions([WAVED], PAIR)
    assert [type(action) for action in found.values()] == [Install, Hold]
    assert found["d002"].why == "in wave 2 of 2 (rest), waiting for wave 1 (canary): 0 of 1 device done, 1 to go"


def test_a_wave_stays_open_for_a_device_that_lost_its_model() -> None:
    desired = fleet(PAIR, [WAVED])
    after = plan(desired, observe({"d001": DONE, "d002": seen()}, *BUILT), NOW)
    assert [type(action) for action in after] == [NoChange, Install]
    lost = plan(desired, observe({"d001": seen(), "d002": DONE}, *BUILT), NOW)
    assert [type(action) for action in lost] == [Install, NoChange]


def test_a_device_that_cannot_have_the_model_is_never_a_canary() -> None:
    found = actions([WAVED], [device(1, TINY.name), device(2), device(3)])
    assert sum(isinstance(action, Install) for action in found.values()) == 1


def test_a_spent_budget_holds_all_remaining_devices() -> None:
    desired = fleet([*PAIR, device(3)], [replace(EVERYWHERE, failure_budget=FailureBudget(count=0))])
    observed = observe({each.name: seen() for each in [*PAIR, device(3)]}, *BUILT)
    failed = frozenset({(DeviceId("d001"), digest_of(V2, ESP32.name))})
    found = plan(desired, replace(observed, quarantined=failed), NOW)
    assert [action.reason for action in found if isinstance(action, Hold)] == [HoldReason.BUDGET] * 2
    assert found[1].why == "rollout everywhere stopped: 1 failed, 0 allowed"


def test_a_fallback_is_not_held_by_waves() -> None:
    rollout = replace(WAVED, fallback=Fallback.PREBAKED)
    found = actions([rollout], [device(1), *(device(number, SEALED.name) for number in range(2, 5))])
    assert [type(action) for action in found.values()] == [Install, *[ActivatePrebaked] * 3]
    held = actions([replace(rollout, windows=NOT_NOW)], [device(2, SEALED.name)])["d002"]
    assert isinstance(held, Hold)
    assert held.reason is HoldReason.WINDOW


# ---------------------------------------------------------------- dependencies

FIRST = Rollout(RolloutId("first"), V1, Selector(devices=(DeviceId("d001"),)), priority=1)
SECOND = replace(EVERYWHERE, name=RolloutId("second"), depends_on=(FIRST.name,))
V1_DONE = seen(digest_of(V1, ESP32.name), parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(minutes=5))


def second(first: Rollout = FIRST) -> Action:
    desired = fleet(PAIR, [first, SECOND])
    return plan(desired, observe({"d001": V1_DONE, "d002": seen()}, *BUILT), NOW)[1]


def test_a_rollout_waits_for_those_that_it_depends_on() -> None:
    action = actions([FIRST, SECOND], PAIR)["d002"]
    assert isinstance(action, Hold)
    assert (action.reason, action.why) == (HoldReason.DEPENDS_ON, "rollout second begins when first is complete")
    assert isinstance(second(), Install)


def test_a_dependency_includes_soak_times() -> None:
    soaking = replace(FIRST, waves=(Wave("all", percent=100, soak_s=600),))
    assert isinstance(second(soaking), Hold)
    assert isinstance(second(replace(soaking, waves=(Wave("all", percent=100, soak_s=60),))), Install)


def test_a_rollout_without_devices_is_complete() -> None:
    empty = replace(FIRST, selector=Selector(devices=(DeviceId("d009"),)))
    assert isinstance(second(empty), Install)


def test_a_rollout_whose_devices_all_cannot_have_the_model_is_not_complete() -> None:
    too_large = artifact(OTHER, ESP32.name, 9999)
    desired = fleet(PAIR, [replace(FIRST, model=OTHER), SECOND])
    found = plan(desired, observe({"d001": seen(), "d002": seen()}, *BUILT, too_large), NOW)
    assert isinstance(found[1], Hold)


# ---------------------------------------------------------------- the order of reasons


def test_hold_reasons_have_a_fixed_order() -> None:
    """Remove each reason in turn; the next one is reported."""
    worst = replace(SECOND, suspend=True, windows=NOT_NOW, waves=(Wave("canary", selector=Selector()),))
    never = replace(FIRST, windows=NOT_NOW)
    assert _second_reason([never, worst]) is HoldReason.SUSPENDED
    assert _second_reason([never, replace(worst, suspend=False)]) is HoldReason.DEPENDS_ON
    free = replace(worst, suspend=False, depends_on=())
    assert _second_reason([never, free], failed=True) is HoldReason.BUDGET
    waits = replace(free, waves=(Wave("canary", selector=Selector(devices=(DeviceId("d003"),))),))
    assert _second_reason([never, waits]) is HoldReason.WAVE
    assert _second_reason([never, free]) is HoldReason.WINDOW
    assert _second_reason([never, replace(free, windows=())]) is None


def _second_reason(rollouts: Sequence[Rollout], *, failed: bool = False) -> HoldReason | None:
    """Plan three devices, of which the third may have failed, and return what holds the second."""
    who = [*PAIR, device(3)]
    observed = observe({each.name: seen() for each in who}, *BUILT)
    if failed:
        observed = replace(observed, quarantined=frozenset({(device(3).name, digest_of(V2, ESP32.name))}))
    action = plan(fleet(who, rollouts), observed, NOW)[1]
    return action.reason if isinstance(action, Hold) else None
