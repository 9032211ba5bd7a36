# SPDX-License-Identifier: Apache-2.0
"""The evaluation of one device: one test for each case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    Capabilities,
    Configure,
    Desired,
    Digest,
    Fallback,
    Hold,
    HoldReason,
    Install,
    Needs,
    NoChange,
    Observed,
    ObservedDevice,
    OnFailure,
    Origin,
    Phase,
    Rollout,
    TypeId,
)
from reconciler.plan import plan
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    OTHER,
    SEALED,
    TINY,
    V1,
    V2,
    capabilities_of,
    device,
    digest_of,
    fleet,
    model,
    observe,
    seen,
)

PLAIN = replace(ESP32, prebaked=())  # provisioned without a model
ALONE = fleet([device(1)], types=[PLAIN])
WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
OWN = {"threshold": 0.5}  # the model's own parameters
LONG_AGO = NOW - timedelta(hours=3)


def only(report: ObservedDevice | None, desired: Desired = ALONE, *, failed: Digest | None = None) -> Action:
    """Plan for a fleet of one device, with everything built."""
    (name,) = desired.devices
    observed = observe({} if report is None else {name: report}, *BUILT)
    quarantined = frozenset() if failed is None else frozenset({(name, failed)})
    (action,) = plan(desired, replace(observed, quarantined=quarantined), NOW)
    return action


def wanting(rollout: Rollout, kind: TypeId = ESP32.name) -> Desired:
    types = [PLAIN if kind == ESP32.name else each for each in (ESP32, SEALED, TINY) if each.name == kind]
    return fleet([device(1, kind)], [rollout], types=types)


def test_a_device_in_the_desired_state_needs_no_change() -> None:
    assert only(seen(WANTED, parameters=OWN)) == NoChange(device(1).name, "runs m@2, as rollout everywhere wants")


def test_the_short_digest_identifies_a_pack() -> None:
    assert isinstance(only(seen(Digest(WANTED[:32]), parameters=OWN)), NoChange)


def test_no_rollout_selects_the_device() -> None:
    action = only(seen(), fleet([device(1)], []))
    assert action == NoChange(device(1).name, "no rollout selects it")


def test_another_model_runs() -> None:
    action = only(seen(OLD))
    assert action == Install(device(1).name, EVERYWHERE.name, V2, Origin.ARTIFACT, OWN, "m@2 has to be transferred")


def test_the_model_is_not_built_yet() -> None:
    (action,) = plan(ALONE, observe({"d001": seen(OLD)}), NOW)
    assert isinstance(action, Install)
    assert action.origin is Origin.BUILD


def test_a_pack_in_the_other_slot_needs_no_transfer() -> None:
    action = only(seen(OLD, other_slot=WANTED))
    assert isinstance(action, Install)
    assert action.origin is Origin.OTHER_SLOT


def test_an_interrupted_transfer_continues() -> None:
    action = only(seen(OLD, phase=Phase.RECEIVING, incoming=WANTED))
    assert isinstance(action, Install)
    assert "the transfer continues" in action.why


@pytest.mark.parametrize(
    "report",
    [seen(OLD, phase=Phase.STAGED, incoming=WANTED), seen(WANTED, phase=Phase.TRIAL, parameters=OWN)],
    ids=["staged", "trial"],
)
def test_a_device_on_trial_with_the_model_is_not_disturbed(report: ObservedDevice) -> None:
    action = only(report)
    assert isinstance(action, Hold)
    assert action.reason is HoldReason.IN_PROGRESS


@pytest.mark.parametrize(
    "report",
    [seen(OLD, phase=Phase.TRIAL), seen(None, phase=Phase.STAGED, incoming=OLD)],
    ids=["trial", "staged"],
)
def test_a_trial_of_another_model_is_replaced(report: ObservedDevice) -> None:
    assert isinstance(only(report), Install)


def test_parameters_differ() -> None:
    rollout = replace(EVERYWHERE, parameters={"threshold": 0.7, "window": 4, "same": 2})
    action = only(seen(WANTED, parameters={"threshold": 0.5, "old": 1, "same": 2}), wanting(rollout))
    assert action == Configure(
        device(1).name,
        EVERYWHERE.name,
        {"threshold": 0.7, "window": 4, "same": 2},
        "runs m@2; old 1 → unset, threshold 0.5 → 0.7, window unset → 4",
    )


def test_a_pre_baked_model_is_activated() -> None:
    rollout = replace(EVERYWHERE, model=V1, parameters={"threshold": 0.9})
    desired = fleet([device(1)], [rollout], types=[ESP32])
    action = only(seen(WANTED, capabilities=capabilities_of(ESP32)), desired)
    assert action == ActivatePrebaked(
        device(1).name, EVERYWHERE.name, V1, {"threshold": 0.9}, "was provisioned with m@1"
    )


def test_the_reported_pre_baked_models_override_those_of_the_type() -> None:
    desired = fleet([device(1)], [replace(EVERYWHERE, model=V1)], types=[ESP32])
    provisioned_without = replace(capabilities_of(ESP32), prebaked=())
    assert isinstance(only(seen(capabilities=provisioned_without), desired), Install)
    provisioned_with = replace(capabilities_of(PLAIN), prebaked=(Digest(WANTED[:32]),))
    assert isinstance(only(seen(OLD, capabilities=provisioned_with)), ActivatePrebaked)


# ---------------------------------------------------------------- blocked


def blocked(action: Action) -> Blocked:
    assert isinstance(action, Blocked)
    return action


def test_a_device_that_never_reported_is_silent() -> None:
    action = blocked(only(None))
    assert (action.reason, action.why) == (BlockedReason.SILENT, "has never reported; m@2 waits for it")


def test_a_device_that_fell_silent_is_not_reporting() -> None:
    action = blocked(only(seen(OLD, last_seen=LONG_AGO)))
    assert (action.reason, action.why) == (BlockedReason.SILENT, "not reporting since 2026-11-21 09:00:00 UTC")


def test_a_settled_device_that_fell_silent_is_reported_as_silent() -> None:
    assert blocked(only(seen(WANTED, parameters=OWN, last_seen=LONG_AGO))).reason is BlockedReason.SILENT


def test_a_device_falls_silent_exactly_after_silent_after() -> None:
    edge = NOW - timedelta(seconds=ALONE.fleet.silent_after_s)
    assert isinstance(only(seen(OLD, last_seen=edge)), Blocked)
    assert isinstance(only(seen(OLD, last_seen=edge + timedelta(seconds=1))), Install)


def test_a_device_that_is_not_in_git_is_unknown() -> None:
    actions = plan(fleet([], []), Observed(devices={device(1).name: seen()}), NOW)
    assert actions == (Blocked(device(1).name, None, BlockedReason.UNKNOWN, "reports, but is not in Git"),)


def test_a_model_that_failed_on_a_device_is_quarantined() -> None:
    action = blocked(only(seen(OLD), failed=WANTED))
    assert action.reason is BlockedReason.QUARANTINED
    assert action.why == "m@2 failed on this device and is not retried until Git changes; it keeps what it runs"


def test_another_model_that_failed_does_not_matter() -> None:
    assert isinstance(only(seen(OLD), failed=OLD), Install)


def test_no_updates_over_the_air() -> None:
    action = blocked(only(seen(), wanting(EVERYWHERE, SEALED.name)))
    assert action.reason is BlockedReason.NO_UPDATES
    assert action.why.startswith("takes no updates over the air and was not provisioned with m@2")


def test_a_device_reports_that_it_takes_no_updates() -> None:
    assert (
        blocked(only(seen(capabilities=replace(capabilities_of(PLAIN), updates=False)))).reason
        is BlockedReason.NO_UPDATES
    )


def test_parameters_change_on_a_device_that_takes_no_updates() -> None:
    report = seen(digest_of(V2, SEALED.name), parameters={})
    assert isinstance(only(report, wanting(EVERYWHERE, SEALED.name)), Configure)


def needing(needs: Needs) -> Action:
    """Plan a model that is not built yet, by the needs that it declares."""
    desired = replace(ALONE, models={**ALONE.models, V2: model(V2, needs)})
    (action,) = plan(desired, observe({"d001": seen()}), NOW)
    return action


def test_operators_are_missing_and_named() -> None:
    action = blocked(needing(Needs(frozenset({"MEAN", "CONV_2D", "ADD"}))))
    assert (action.reason, action.short_by) == (BlockedReason.OPERATORS, 0)
    assert action.why == "m@2 does not fit: it lacks operators ADD, MEAN; it keeps what it runs"


def test_the_slot_is_too_small_by_the_reported_bytes() -> None:
    action = blocked(needing(Needs(slot_bytes=5000)))
    assert (action.reason, action.short_by) == (BlockedReason.SLOT, 904)
    assert "the slot is 904 bytes too small (5,000 needed, 4,096 available)" in action.why


def test_the_arena_is_too_small_by_the_reported_bytes() -> None:
    action = blocked(needing(Needs(arena_bytes=2049)))
    assert (action.reason, action.short_by) == (BlockedReason.ARENA, 1)


def test_all_shortfalls_are_reported_under_the_first_reason() -> None:
    action = blocked(needing(Needs(frozenset({"ADD"}), 5000, 5000)))
    assert (action.reason, action.also) == (BlockedReason.OPERATORS, (BlockedReason.SLOT, BlockedReason.ARENA))
    assert "operator ADD" in action.why
    assert "slot is 904" in action.why
    assert "arena is 2,952" in action.why


def test_a_model_that_exactly_fits_is_installed() -> None:
    assert isinstance(needing(Needs(frozenset({"CONV_2D"}), 4096, 2048)), Install)


def test_facts_of_an_artifact_override_the_needs_that_a_model_declares() -> None:
    assert blocked(only(seen(), wanting(EVERYWHERE, TINY.name))).reason is BlockedReason.SLOT
    modest = replace(ALONE, models={**ALONE.models, V2: model(V2, Needs(slot_bytes=99_999))})
    assert isinstance(only(seen(), modest), Install)


def test_reported_capabilities_override_the_type() -> None:
    small = replace(capabilities_of(PLAIN), slot_bytes=999)
    assert blocked(only(seen(capabilities=small))).short_by == 1
    desired = wanting(EVERYWHERE, TINY.name)
    assert isinstance(only(seen(capabilities=replace(capabilities_of(TINY), slot_bytes=4096)), desired), Install)


def test_the_device_reads_older_pack_formats_only() -> None:
    action = blocked(only(seen(capabilities=replace(capabilities_of(PLAIN), pack_format=0))))
    assert action.reason is BlockedReason.PACK_FORMAT
    assert "reads pack formats up to 0, but packs for esp32 may have format 1" in action.why


def test_a_device_that_reads_a_newer_pack_format_reads_the_older_ones_too() -> None:
    assert isinstance(only(seen(capabilities=replace(capabilities_of(PLAIN), pack_format=2))), Install)


def test_the_device_reports_another_type_than_git() -> None:
    action = blocked(only(seen(capabilities=replace(capabilities_of(PLAIN), type=TypeId("nrf52")))))
    assert action.reason is BlockedReason.WRONG_TYPE
    assert "its type is esp32 in Git, but the device reports nrf52" in action.why


def test_a_missing_requirement_is_reported_even_of_a_silent_device() -> None:
    desired = wanting(EVERYWHERE, TINY.name)
    for report in (seen(last_seen=LONG_AGO), None):
        action = blocked(only(report, desired))
        assert (action.reason, action.also) == (BlockedReason.SLOT, (BlockedReason.SILENT,))


def test_a_cloned_identity_comes_before_all_other_checks() -> None:
    action = blocked(only(seen(WANTED, parameters=OWN, cloned=True)))
    assert action.reason is BlockedReason.CLONED
    assert action.why.startswith("two devices report under its name")


# ---------------------------------------------------------------- fallbacks

TO_PREBAKED = replace(EVERYWHERE, fallback=Fallback.PREBAKED)
BAKED = digest_of(V1, SEALED.name)


def falling_back(report: ObservedDevice, capabilities: Capabilities | None = None) -> Action:
    return only(replace(report, capabilities=capabilities), wanting(TO_PREBAKED, SEALED.name))


def test_a_device_falls_back_to_a_pre_baked_model() -> None:
    action = falling_back(seen())
    assert isinstance(action, ActivatePrebaked)
    assert (action.model, action.parameters) == (V1, OWN)
    assert action.why.endswith("it must be provisioned again; falls back to the pre-baked m@1")


def test_a_device_that_runs_the_fallback_stays_on_it() -> None:
    action = blocked(falling_back(seen(BAKED)))
    assert action.why.endswith("; it runs a pre-baked model instead")


def test_before_the_fallback_is_built_any_pre_baked_model_counts_as_the_fallback() -> None:
    desired = wanting(TO_PREBAKED, SEALED.name)
    report = seen(Digest(BAKED[:32]), capabilities=capabilities_of(SEALED))
    (action,) = plan(desired, observe({"d001": report}), NOW)
    assert isinstance(action, Blocked)


def test_a_device_provisioned_without_the_fallback_has_none() -> None:
    action = blocked(falling_back(seen(), replace(capabilities_of(SEALED), prebaked=())))
    assert action.why.endswith("; it has no pre-baked model to fall back to")


def test_a_fallback_that_failed_is_not_activated() -> None:
    action = only(seen(), wanting(TO_PREBAKED, SEALED.name), failed=BAKED)
    assert blocked(action).why.endswith("; it has no pre-baked model to fall back to")


def test_a_rollout_that_rolls_back_needs_no_fallback() -> None:
    rolled_back = replace(EVERYWHERE, fallback=Fallback.PREBAKED, on_failure=OnFailure.ROLL_BACK)
    action = only(seen(OLD), fleet([device(1)], [rolled_back], types=[ESP32]), failed=WANTED)
    assert (
        blocked(action).why == "m@2 failed on this device and is not retried until Git changes; it keeps what it runs"
    )


def test_another_version_of_the_same_model_is_the_first_fallback() -> None:
    kind = replace(SEALED, prebaked=(OTHER, V1))
    action = only(seen(), fleet([device(1, SEALED.name)], [TO_PREBAKED], types=[kind]))
    assert isinstance(action, ActivatePrebaked)
    assert action.model == V1


def test_a_failed_device_falls_back_too() -> None:
    desired = fleet([device(1)], [TO_PREBAKED], types=[ESP32])
    action = only(seen(None, capabilities=capabilities_of(ESP32)), desired, failed=WANTED)
    assert isinstance(action, ActivatePrebaked)


@pytest.mark.parametrize(
    "report", [seen(last_seen=LONG_AGO), seen(capabilities=capabilities_of(ESP32))], ids=["silent", "wrong"]
)
def test_a_silent_device_or_one_of_the_wrong_type_does_not_fall_back(report: ObservedDevice) -> None:
    assert isinstance(only(report, wanting(TO_PREBAKED, SEALED.name)), Blocked)


def test_a_device_of_the_wrong_type_does_not_fall_back_to_what_it_was_provisioned_with() -> None:
    wrong = replace(capabilities_of(SEALED), type=TypeId("another"))
    assert blocked(falling_back(seen(), wrong)).reason is BlockedReason.WRONG_TYPE


def test_the_report_fallback_asks_for_a_technician() -> None:
    action = only(seen(), wanting(replace(EVERYWHERE, fallback=Fallback.REPORT), SEALED.name))
    assert blocked(action).why.endswith("; it needs a technician")
