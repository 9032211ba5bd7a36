# SPDX-License-Identifier: Apache-2.0
"""Each change on its own: the planner must notice it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.model import (
    Desired,
    Device,
    DeviceId,
    Install,
    MaintenanceWindow,
    Observed,
    ObservedDevice,
    RolloutId,
    Selector,
    Wave,
)
from reconciler.plan import Planner, plan
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    HALL,
    NOW,
    SILENT_AFTER_A_YEAR,
    V1,
    V2,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

NOT_NOW = (MaintenanceWindow(("Wed",), "01:00", 60),)
UNTIL_ONE = MaintenanceWindow(("Sat",), "11:00", 7200)
OWN = {"threshold": 0.5}
DONE = seen(digest_of(V2, ESP32.name), parameters=OWN, confirmed_since=NOW - timedelta(minutes=30))
OTHERS = replace(EVERYWHERE, name=RolloutId("others"), selector=Selector(match_labels={"hall": "s"}), priority=1)
FLEET = fleet(
    [*(device(number, hall="n") for number in range(6)), device(7, hall="s"), device(8, hall="s", canary="yes")],
    [
        replace(EVERYWHERE, waves=(Wave("canary", count=2, soak_s=3600),)),
        replace(OTHERS, waves=(Wave("canary", selector=Selector(match_labels={"canary": "yes"})),), depends_on=()),
    ],
)
REPORTS = {str(name): seen() for name in FLEET.devices}
BEFORE = observe(REPORTS, *BUILT)
CANARIES = [action.device for action in plan(FLEET, BEFORE, NOW) if isinstance(action, Install)][:2]
SOAKING = observe({**REPORTS, **dict.fromkeys(map(str, CANARIES), DONE)}, *BUILT)
NEVER_SILENT = replace(FLEET, fleet=SILENT_AFTER_A_YEAR)
PlanInputs = tuple[Desired, Observed, datetime]


def with_rollout(desired: Desired, name: str, **changes: object) -> Desired:
    changed = replace(desired.rollouts[RolloutId(name)], **changes)  # type: ignore[arg-type]  # as its fields say
    return replace(desired, rollouts={**desired.rollouts, changed.name: changed})


def with_device(desired: Desired, changed: Device) -> Desired:
    return replace(desired, devices={**desired.devices, changed.name: changed})


def reporting(observed: Observed, name: str, report: ObservedDevice) -> Observed:
    return replace(observed, devices={**observed.devices, DeviceId(name): report})


CHANGES: dict[str, tuple[PlanInputs, PlanInputs]] = {
    "a failure": (
        (FLEET, BEFORE, NOW),
        (FLEET, replace(BEFORE, quarantined=frozenset({(CANARIES[0], digest_of(V2, ESP32.name))})), NOW),
    ),
    "silence": ((FLEET, BEFORE, NOW), (FLEET, BEFORE, NOW + timedelta(minutes=14))),
    "silence among reports": (
        (FLEET, BEFORE, NOW),
        (FLEET, reporting(BEFORE, "d003", seen(last_seen=NOW)), NOW + timedelta(minutes=14)),
    ),
    "the clock goes back": ((FLEET, BEFORE, NOW + timedelta(minutes=14)), (FLEET, BEFORE, NOW)),
    "a report": ((FLEET, BEFORE, NOW), (FLEET, reporting(BEFORE, CANARIES[0], DONE), NOW)),
    "an unknown device": ((FLEET, BEFORE, NOW), (FLEET, reporting(BEFORE, "unknown", DONE), NOW)),
    "an artifact": ((FLEET, observe(REPORTS), NOW), (FLEET, BEFORE, NOW)),
    "the end of a soak": ((NEVER_SILENT, SOAKING, NOW), (NEVER_SILENT, SOAKING, NOW + timedelta(minutes=30))),
    "an older confirmation": (
        (FLEET, SOAKING, NOW),
        (
            FLEET,
            observe(
                {
                    **REPORTS,
                    **dict.fromkeys(map(str, CANARIES), replace(DONE, confirmed_since=NOW - timedelta(hours=1))),
                },
                *BUILT,
            ),
            NOW,
        ),
    ),
    "another model": ((FLEET, BEFORE, NOW), (with_rollout(FLEET, "everywhere", model=V1), BEFORE, NOW)),
    "other waves": ((FLEET, BEFORE, NOW), (with_rollout(FLEET, "everywhere", waves=()), BEFORE, NOW)),
    "suspension": ((FLEET, BEFORE, NOW), (with_rollout(FLEET, "others", suspend=True), BEFORE, NOW)),
    "a label that a wave selects by": (
        (FLEET, BEFORE, NOW),
        (with_device(FLEET, device(7, hall="s", canary="yes")), BEFORE, NOW),
    ),
    "a label that a rollout selects by": ((FLEET, BEFORE, NOW), (with_device(FLEET, device(7, hall="n")), BEFORE, NOW)),
    "a new device": ((FLEET, BEFORE, NOW), (with_device(FLEET, device(9, hall="n")), BEFORE, NOW)),
    "one device less": (
        (FLEET, BEFORE, NOW),
        (replace(FLEET, devices={n: d for n, d in FLEET.devices.items() if n != CANARIES[0]}), BEFORE, NOW),
    ),
    "one rollout less": (
        (FLEET, BEFORE, NOW),
        (replace(FLEET, rollouts={EVERYWHERE.name: FLEET.rollouts[EVERYWHERE.name]}), BEFORE, NOW),
    ),
    "a gateway's windows": (
        (FLEET, BEFORE, NOW),
        (replace(FLEET, gateways={HALL.name: replace(HALL, windows=NOT_NOW)}), BEFORE, NOW),
    ),
    "the fleet's windows": (
        (FLEET, BEFORE, NOW),
        (replace(FLEET, fleet=replace(FLEET.fleet, windows=NOT_NOW)), BEFORE, NOW),
    ),
    "the end of a window": (
        (with_rollout(NEVER_SILENT, "everywhere", windows=(UNTIL_ONE,)), BEFORE, NOW),
        (with_rollout(NEVER_SILENT, "everywhere", windows=(UNTIL_ONE,)), BEFORE, NOW + timedelta(hours=1)),
    ),
    "a rollout that others depend on is complete": (
        (with_rollout(FLEET, "everywhere", depends_on=("others",)), BEFORE, NOW),
        (
            with_rollout(FLEET, "everywhere", depends_on=("others",)),
            reporting(reporting(BEFORE, "d007", DONE), "d008", DONE),
            NOW,
        ),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_planner_notices_each_change(change: str) -> None:
    before, after = CHANGES[change]
    # A change by time alone has the same values; pass the same objects, as a daemon does.
    if before[0] == after[0]:
        after = (before[0], *after[1:])
    planner = Planner()
    first = planner.plan(*before)
    assert first == plan(*before)
    second = planner.plan(*after)
    assert second == plan(*after)
    assert second != first


@pytest.mark.parametrize("change", CHANGES)
def test_the_planner_notices_when_a_change_is_undone(change: str) -> None:
    before, after = CHANGES[change]
    planner = Planner()
    for inputs in (before, after, before, after):
        assert planner.plan(*inputs) == plan(*inputs)


LARGE = fleet(
    [device(number, hall="n") for number in range(200)],
    [
        replace(
            EVERYWHERE, waves=(Wave("canary", count=3), Wave("marked", selector=Selector(match_labels={"hall": "s"})))
        )
    ],
)


@pytest.mark.parametrize(
    "after",
    [
        with_device(LARGE, device(500, hall="n")),
        with_device(LARGE, device(7, hall="s")),
        replace(LARGE, devices={n: d for n, d in LARGE.devices.items() if n != "d007"}),
    ],
    ids=["one more", "one changed", "one less"],
)
def test_one_changed_device_among_many_moves_to_its_position(after: Desired) -> None:
    observed = observe({str(name): seen() for name in [*LARGE.devices, "d500"]}, *BUILT)
    planner = Planner()
    for desired in (LARGE, after, LARGE, after):
        assert planner.plan(desired, observed, NOW) == plan(desired, observed, NOW)
