# SPDX-License-Identifier: Apache-2.0
"""The devices that a change affects, and the observed state from committed statuses, from values alone."""

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
from reconciler.review.affected_devices import Impact, impact_of
from reconciler.review.document_diff import ChangeKind, DocumentChange
from reconciler.review.reported_state import GatewayReport, MissingStatus, ReportedState, model_of, observed, running
from reconciler.review.review import ReviewInputs, review
from reconciler.review.transfer_time import ReviewLine, line_of, work_through
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


def names(found: Impact) -> list[DeviceId]:
    return [each.device for each in found.affected]


def test_a_device_that_lags_behind_the_base_is_pending_and_not_affected() -> None:
    devices = [device(number) for number in range(1, 5)]
    to_baked = replace(
        EVERYWHERE, name=RolloutId("baked"), model=V1, selector=Selector(devices=(devices[2].name,)), priority=1
    )
    desired = fleet([*devices[:3], replace(devices[3], type=TINY.name)], rollouts=(EVERYWHERE, to_baked))
    state = observe(
        {
            devices[0].name: seen(ON_V1),  # to be installed
            devices[1].name: seen(ON_V2, parameters={"threshold": 0.9}),  # to be configured
            devices[2].name: seen(None, capabilities=capabilities_of(ESP32)),  # to activate the pre-baked model
            devices[3].name: seen(None),  # blocked
        },
        *BUILT,
    )
    found = impact_of(desired, state, replace(desired, commit=EVERYWHERE.model.version), state, NOW)  # type: ignore[arg-type]  # any other commit
    assert (names(found), found.pending) == ([], 4)


def test_a_type_that_became_too_small_affects_its_devices() -> None:
    before = fleet([PUMP])
    small = {**before.types, ESP32.name: replace(ESP32, slot_bytes=10, prebaked=())}
    small_as_before = {**before.types, ESP32.name: replace(ESP32, prebaked=())}
    state = observe({PUMP.name: seen(None)}, *BUILT)
    found = impact_of(replace(before, types=small_as_before), state, replace(before, types=small), state, NOW)
    assert names(found) == [PUMP.name]
    assert isinstance(found.affected[0].action, Blocked)


def test_unclaimed_unserved_and_unknown_devices() -> None:
    before = fleet([PUMP])
    state = observe({PUMP.name: seen(ON_V1), "unknown": seen(ON_V1)}, *BUILT)
    found = impact_of(before, state, fleet([PUMP], rollouts=(), gateways=()), state, NOW)
    assert (found.unclaimed, found.unserved) == (1, 1)
    assert names(found) == [PUMP.name]  # it would have received a model, and now receives none
    assert found.affected[0].rollout is None


# ---------------------------------------------------------------- what gateways reported


def scan(
    name: str, *, model: str | None = "m@1", phase: Phase | None = Phase.CONFIRMED, **conditions: ScannedCondition
) -> StatusScan:
    reporting = ScannedCondition(Status.TRUE, "Reporting", NOW)
    return StatusScan(DeviceId(name), model, ON_V1, phase, 3, {"Reporting": reporting, **conditions})


def reported(*devices: StatusScan) -> ReportedState:
    return ReportedState({HALL.name: GatewayReport(HALL.name, NOW, "c" * 40, "Ready", "", devices)})


def test_running_models_come_from_the_statuses() -> None:
    desired = fleet([PUMP])
    assert model_of(scan("d001", model=None)) is None
    assert model_of(scan("d001", model="@1")) is None
    statuses = reported(scan("d001"), scan("unknown"), scan("d002", model=None))
    assert running(statuses, desired) == {(V1, ESP32.name): replace(artifact(V1, ESP32.name), digest=ON_V1)}
    assert running(statuses, desired, except_models=[V1]) == {}


@pytest.mark.parametrize(
    "never_seen",
    [scan("d001", Reporting=ScannedCondition(Status.UNKNOWN, "NeverSeen", NOW)), scan("d001", phase=None)],
    ids=["never-seen", "no-phase"],
)
def test_a_device_that_never_reported_is_not_observed(never_seen: StatusScan) -> None:
    desired = fleet([PUMP])
    assert (
        observed(
            reported(never_seen), desired, {}, NOW, before=desired, missing_status=MissingStatus.ASSUME_DESIRED
        ).devices
        == {}
    )


def test_quarantine_holds_until_the_model_changes() -> None:
    desired = fleet([PUMP])
    failed = reported(scan("d001", UpToDate=ScannedCondition(Status.FALSE, "Quarantined", NOW)))
    found = observed(failed, desired, {}, NOW, before=desired, missing_status=MissingStatus.ASSUME_DESIRED)
    assert [name for name, _ in found.quarantined] == [PUMP.name]
    source = replace(desired.models[V2].source, sha256=Digest("1" * 64))
    other = replace(desired, models={**desired.models, V2: replace(desired.models[V2], source=source)})
    assert not observed(failed, other, {}, NOW, before=desired, missing_status=MissingStatus.ASSUME_DESIRED).quarantined


def test_a_sealed_device_without_status_runs_its_prebaked_model() -> None:
    sealed = replace(PUMP, type=SEALED.name)
    desired = fleet([sealed])
    (found,) = observed(
        ReportedState(), desired, {}, NOW, before=desired, missing_status=MissingStatus.ASSUME_DESIRED
    ).devices.values()
    assert (found.phase, found.parameters) == (Phase.CONFIRMED, {})
    assert found.running is not None
    bare = replace(desired, types={**desired.types, SEALED.name: replace(SEALED, prebaked=())})
    (nothing,) = observed(
        ReportedState(), bare, {}, NOW, before=bare, missing_status=MissingStatus.ASSUME_DESIRED
    ).devices.values()
    assert nothing.running is None


def test_a_device_without_rollout_and_status_runs_nothing() -> None:
    desired = fleet([PUMP], rollouts=())
    (found,) = observed(
        ReportedState(), desired, {}, NOW, before=desired, missing_status=MissingStatus.ASSUME_DESIRED
    ).devices.values()
    assert found == ObservedDevice(NOW, Phase.IDLE, None)


# ---------------------------------------------------------------- the review as a whole


def given(state: Observed) -> ReviewInputs:
    return ReviewInputs(ReportedState(), {}, lambda _transfer: None, observed=state)


def codes(rollout: Rollout, devices: list[Device], **changes: object) -> dict[str, str]:
    before = fleet(devices, rollouts=())
    after = replace(fleet(devices, rollouts=(rollout,)), **changes)  # type: ignore[arg-type]  # a test's shorthand
    state = observe({each.name: seen(ON_V1) for each in devices}, *BUILT)
    found = review(before, after, given(state), NOW)
    return {risk.code.value: risk.message for risk in found.risks}


def test_risks_of_a_change_without_gates_and_gateway() -> None:
    devices = [PUMP, device(2, SEALED.name)]
    rollout = replace(EVERYWHERE, model=V1, failure_budget=FailureBudget(count=2), fallback=Fallback.PREBAKED)
    found = codes(rollout, devices, gateways={})
    assert found["NoBuildGates"] == "m@1 has no gates: nothing limits the quality of its build"
    assert found["Unserved"] == "no gateway serves 2 affected devices"
    gated = {**fleet([]).models, V1: replace(fleet([]).models[V1], gates=(Gate("auc", at_least=0.9),))}
    assert "NoBuildGates" not in codes(rollout, devices, models=gated)


def test_windows_that_never_overlap_are_a_risk() -> None:
    saturday = MaintenanceWindow(("Sat",), "02:00", 3600)
    sunday = MaintenanceWindow(("Sun",), "02:00", 3600)
    hall = replace(HALL, windows=(saturday,))
    found = codes(replace(EVERYWHERE, windows=(sunday,)), [PUMP], gateways={HALL.name: hall})
    assert "its windows never overlap, or are too short" in found["WindowsNeverOverlap"]


def test_work_is_spread_over_windows_up_to_a_limit() -> None:
    day = MaintenanceWindow(("Mon",), "00:00", 60)
    assert work_through(((day,),), NOW, 30).ends_at is not None
    assert work_through(((day,),), NOW, 120).windows == 2
    endless = work_through(((day,),), NOW, 10 * 365 * 86400)
    assert endless.ends_at is None
    assert endless.windows > 2
    assert work_through((), NOW, 60).ends_at == NOW + timedelta(seconds=60)


def test_mqtt_is_one_line_without_a_port() -> None:
    line = line_of(PUMP, GatewayId("hall"))
    assert (line, str(line)) == (ReviewLine(GatewayId("hall"), "", 0), "hall, MQTT")


def test_the_size_of_an_unbuilt_model_is_its_upper_bound() -> None:
    desired = fleet([PUMP])
    unsaid = replace(desired, models={**desired.models, V2: replace(desired.models[V2], needs=Needs())})
    before = fleet([PUMP], rollouts=())
    state = observe({PUMP.name: seen(ON_V1)})
    (load,) = review(before, unsaid, given(state), NOW).loads
    assert (load.payload.size_bytes, load.payload.exact) == (ESP32.slot_bytes, False)
    (load,) = review(before, desired, given(state), NOW).loads
    assert load.payload.size_bytes == 1000  # declared by the model


def test_a_change_of_the_fleet_document_is_listed() -> None:
    before, after = fleet([PUMP]), replace(fleet([PUMP]), fleet=replace(fleet([PUMP]).fleet, silent_after_s=6000))
    state = observe({PUMP.name: seen(ON_V2, parameters={"threshold": 0.5})}, *BUILT)
    found = review(before, after, given(state), NOW)
    assert found.changes == (DocumentChange("Fleet", "plant", ChangeKind.CHANGED, ("silentAfter",)),)
    assert found.impact.affected == ()
