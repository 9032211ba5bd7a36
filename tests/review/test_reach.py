# SPDX-License-Identifier: Apache-2.0
"""Which devices a change touches, and what is made of what gateways told, from values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    Blocked,
    Device,
    DeviceId,
    Digest,
    FailureBudget,
    Fallback,
    Gate,
    GatewayId,
    MaintenanceWindow,
    Needs,
    Observed,
    ObservedDevice,
    Phase,
    Rollout,
    RolloutId,
    Selector,
)
from reconciler.report.conditions import Status
from reconciler.report.status_scan import ScannedCondition, StatusScan
from reconciler.review.affected_devices import Reach, reach
from reconciler.review.document_diff import ChangeKind, DocumentChange
from reconciler.review.reported_state import GatewayReport, ReportedState, UnheardPolicy, model_of, observed, running
from reconciler.review.review import Sources, review
from reconciler.review.transfer_time import ReviewLine, line_of, passage
from tests.plan.example_fleet import (
    ESP32,
    EVERYWHERE,
    HALL,
    NOW,
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

PUMP = device(1)
BUILT = (artifact(V1, ESP32.name), artifact(V2, ESP32.name))
ON_V1, ON_V2 = digest_of(V1, ESP32.name), digest_of(V2, ESP32.name)


def names(found: Reach) -> list[DeviceId]:
    return [each.device for each in found.touched]


def test_what_the_base_wants_already_is_pending_and_not_touched() -> None:
    devices = [device(number) for number in range(1, 5)]
    to_baked = replace(
        EVERYWHERE, name=RolloutId("baked"), model=V1, selector=Selector(devices=(devices[2].name,)), priority=1
    )
    desired = fleet([*devices[:3], replace(devices[3], type=TINY.name)], rollouts=(EVERYWHERE, to_baked))
    state = observe(
        {
            devices[0].name: seen(ON_V1),  # to be installed
            devices[1].name: seen(ON_V2, parameters={"threshold": 0.9}),  # to be configured
            devices[2].name: seen(None, capabilities=capabilities_of(ESP32)),  # to activate what it was made with
            devices[3].name: seen(None),  # can't have it
        },
        *BUILT,
    )
    found = reach(desired, state, replace(desired, commit=EVERYWHERE.model.version), state, NOW)  # type: ignore[arg-type]  # any other commit
    assert (names(found), found.pending) == ([], 4)


def test_a_type_that_has_become_too_small_touches_its_devices() -> None:
    before = fleet([PUMP])
    small = {**before.types, ESP32.name: replace(ESP32, slot_bytes=10, prebaked=())}
    small_as_before = {**before.types, ESP32.name: replace(ESP32, prebaked=())}
    state = observe({PUMP.name: seen(None)}, *BUILT)
    found = reach(replace(before, types=small_as_before), state, replace(before, types=small), state, NOW)
    assert names(found) == [PUMP.name]
    assert isinstance(found.touched[0].action, Blocked)


def test_devices_that_nobody_wants_serves_or_knows() -> None:
    before = fleet([PUMP])
    state = observe({PUMP.name: seen(ON_V1), "stranger": seen(ON_V1)}, *BUILT)
    found = reach(before, state, fleet([PUMP], rollouts=(), gateways=()), state, NOW)
    assert (found.unclaimed, found.unserved) == (1, 1)
    assert names(found) == [PUMP.name]  # it would have got a model, and now gets none
    assert found.touched[0].rollout is None


# ---------------------------------------------------------------- what gateways told


def glance(
    name: str, *, model: str | None = "m@1", phase: Phase | None = Phase.CONFIRMED, **said: ScannedCondition
) -> StatusScan:
    reporting = ScannedCondition(Status.TRUE, "Reporting", NOW)
    return StatusScan(DeviceId(name), model, ON_V1, phase, 3, {"Reporting": reporting, **said})


def evidence(*devices: StatusScan) -> ReportedState:
    return ReportedState({HALL.name: GatewayReport(HALL.name, NOW, "c" * 40, "Ready", "", devices)})


def test_models_are_named_by_what_gateways_knew() -> None:
    desired = fleet([PUMP])
    assert model_of(glance("d001", model=None)) is None
    assert model_of(glance("d001", model="@1")) is None
    told_of = evidence(glance("d001"), glance("unknown"), glance("d002", model=None))
    assert running(told_of, desired) == {(V1, ESP32.name): replace(artifact(V1, ESP32.name), digest=ON_V1)}
    assert running(told_of, desired, unlike=[V1]) == {}


@pytest.mark.parametrize(
    "unheard_of",
    [glance("d001", Reporting=ScannedCondition(Status.UNKNOWN, "NeverSeen", NOW)), glance("d001", phase=None)],
    ids=["never-seen", "no-phase"],
)
def test_a_device_that_its_gateway_never_heard_is_not_observed(unheard_of: StatusScan) -> None:
    desired = fleet([PUMP])
    assert observed(evidence(unheard_of), desired, {}, NOW, before=desired, unheard=UnheardPolicy.SETTLED).devices == {}


def test_what_failed_on_a_device_stays_out_of_it_unless_the_model_is_another() -> None:
    desired = fleet([PUMP])
    failed = evidence(glance("d001", UpToDate=ScannedCondition(Status.FALSE, "Quarantined", NOW)))
    found = observed(failed, desired, {}, NOW, before=desired, unheard=UnheardPolicy.SETTLED)
    assert [name for name, _ in found.quarantined] == [PUMP.name]
    source = replace(desired.models[V2].source, sha256=Digest("1" * 64))
    other = replace(desired, models={**desired.models, V2: replace(desired.models[V2], source=source)})
    assert not observed(failed, other, {}, NOW, before=desired, unheard=UnheardPolicy.SETTLED).quarantined


def test_a_sealed_device_that_nobody_told_of_runs_what_it_was_made_with() -> None:
    sealed = replace(PUMP, type=SEALED.name)
    desired = fleet([sealed])
    (found,) = observed(
        ReportedState(), desired, {}, NOW, before=desired, unheard=UnheardPolicy.SETTLED
    ).devices.values()
    assert (found.phase, found.parameters) == (Phase.CONFIRMED, {})
    assert found.running is not None
    bare = replace(desired, types={**desired.types, SEALED.name: replace(SEALED, prebaked=())})
    (nothing,) = observed(ReportedState(), bare, {}, NOW, before=bare, unheard=UnheardPolicy.SETTLED).devices.values()
    assert nothing.running is None


def test_a_device_of_no_rollout_runs_nothing_that_is_known() -> None:
    desired = fleet([PUMP], rollouts=())
    (found,) = observed(
        ReportedState(), desired, {}, NOW, before=desired, unheard=UnheardPolicy.SETTLED
    ).devices.values()
    assert found == ObservedDevice(NOW, Phase.IDLE, None)


# ---------------------------------------------------------------- the review as a whole


def given(state: Observed) -> Sources:
    return Sources(ReportedState(), {}, lambda _sort: None, observed=state)


def codes(rollout: Rollout, devices: list[Device], **changes: object) -> dict[str, str]:
    before = fleet(devices, rollouts=())
    after = replace(fleet(devices, rollouts=(rollout,)), **changes)  # type: ignore[arg-type]  # a test's shorthand
    state = observe({each.name: seen(ON_V1) for each in devices}, *BUILT)
    found = review(before, after, given(state), NOW)
    return {risk.code.value: risk.words for risk in found.risks}


def test_risks_of_a_change_that_nothing_holds() -> None:
    devices = [PUMP, device(2, SEALED.name)]
    rollout = replace(EVERYWHERE, model=V1, failure_budget=FailureBudget(count=2), fallback=Fallback.PREBAKED)
    found = codes(rollout, devices, gateways={})
    assert found["NoBuildGates"] == "m@1 has no gates: its build is not held to any figure"
    assert found["Unserved"] == "2 touched devices are served by no gateway"
    judged = {**fleet([]).models, V1: replace(fleet([]).models[V1], gates=(Gate("auc", at_least=0.9),))}
    assert "NoBuildGates" not in codes(rollout, devices, models=judged)


def test_a_rollout_that_can_never_end_in_its_windows() -> None:
    saturday = MaintenanceWindow(("Sat",), "02:00", 3600)
    sunday = MaintenanceWindow(("Sun",), "02:00", 3600)
    hall = replace(HALL, windows=(saturday,))
    found = codes(replace(EVERYWHERE, windows=(sunday,)), [PUMP], gateways={HALL.name: hall})
    assert "its windows never meet, or are too short" in found["WindowsNeverMeet"]


def test_time_in_windows_is_counted_until_it_is_hopeless() -> None:
    day = MaintenanceWindow(("Mon",), "00:00", 60)
    assert passage(((day,),), NOW, 30).ends_at is not None
    assert passage(((day,),), NOW, 120).openings == 2
    hopeless = passage(((day,),), NOW, 10 * 365 * 86400)
    assert hopeless.ends_at is None
    assert hopeless.openings > 2
    assert passage((), NOW, 60).ends_at == NOW + timedelta(seconds=60)


def test_devices_on_mqtt_hold_no_line() -> None:
    line = line_of(PUMP, GatewayId("hall"))
    assert (line, str(line)) == (ReviewLine(GatewayId("hall"), "", 0), "hall, MQTT")


def test_what_is_not_built_counts_as_large_as_it_may_become() -> None:
    desired = fleet([PUMP])
    unsaid = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=Needs())})
    before = fleet([PUMP], rollouts=())
    state = observe({PUMP.name: seen(ON_V1)})
    (load,) = review(before, unsaid, given(state), NOW).loads
    assert (load.payload.size_bytes, load.payload.exact) == (ESP32.slot_bytes, False)
    (load,) = review(before, desired, given(state), NOW).loads
    assert load.payload.size_bytes == 1000  # by the model's own word


def test_a_change_of_the_fleets_defaults_is_told() -> None:
    before, after = fleet([PUMP]), replace(fleet([PUMP]), fleet=replace(fleet([PUMP]).fleet, silent_after_s=6000))
    state = observe({PUMP.name: seen(ON_V2, parameters={"threshold": 0.5})}, *BUILT)
    found = review(before, after, given(state), NOW)
    assert found.changes == (DocumentChange("Fleet", "plant", ChangeKind.CHANGED, ("silentAfter",)),)
    assert found.reach.touched == ()
