# SPDX-License-Identifier: Apache-2.0
"""What one device needs, judged alone: one test for each thing that can be true of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Action, ActivatePrebaked, Blocked, BlockedReason, Capabilities, Configure, Desired, Digest, Fallback, Hold, HoldReason, Install, Needs, NoChange, Observed, ObservedDevice, OnFailure, Origin, Phase, Rollout, TypeId
from reconciler.plan import plan
from tests.plan.fleets import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    OTHER,
    SEALED,
    TINY,
    V1,
    V2,
    device,
    digest_of,
    fleet,
    model,
    observe,
    seen,
    told,
)

PLAIN = replace(ESP32, prebaked=())  # made with no model at all
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


def test_settled() -> None:
    assert only(seen(WANTED, parameters=OWN)) == NoChange(device(1).name, "runs m@2, as rollout everywhere wants")


def test_the_first_half_of_a_digest_is_enough() -> None:
    assert isinstance(only(seen(Digest(WANTED[:32]), parameters=OWN)), NoChange)


def test_nobody_wants_anything_of_it() -> None:
    action = only(seen(), fleet([device(1)], []))
    assert action == NoChange(device(1).name, "no rollout wants anything of it")


def test_another_model_runs() -> None:
    action = only(seen(OLD))
    assert action == Install(device(1).name, EVERYWHERE.name, V2, Origin.ARTIFACT, OWN, "m@2 is to be transferred")


def test_nothing_is_built_yet() -> None:
    (action,) = plan(ALONE, observe({"d001": seen(OLD)}), NOW)
    assert isinstance(action, Install)
    assert action.origin is Origin.BUILD


def test_the_other_slot_still_holds_it() -> None:
    action = only(seen(OLD, other_slot=WANTED))
    assert isinstance(action, Install)
    assert action.origin is Origin.OTHER_SLOT


def test_an_interrupted_transfer_goes_on() -> None:
    action = only(seen(OLD, phase=Phase.RECEIVING, incoming=WANTED))
    assert isinstance(action, Install)
    assert "the transfer goes on" in action.why


@pytest.mark.parametrize(
    "report",
    [seen(OLD, phase=Phase.STAGED, incoming=WANTED), seen(WANTED, phase=Phase.TRIAL, parameters=OWN)],
    ids=["staged", "trial"],
)
def test_the_device_is_trying_it(report: ObservedDevice) -> None:
    action = only(report)
    assert isinstance(action, Hold)
    assert action.reason is HoldReason.IN_PROGRESS


@pytest.mark.parametrize(
    "report",
    [seen(OLD, phase=Phase.TRIAL), seen(None, phase=Phase.STAGED, incoming=OLD)],
    ids=["trial", "staged"],
)
def test_what_is_tried_is_no_longer_wanted(report: ObservedDevice) -> None:
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


def test_it_was_made_with_the_wanted_model() -> None:
    rollout = replace(EVERYWHERE, model=V1, parameters={"threshold": 0.9})
    desired = fleet([device(1)], [rollout], types=[ESP32])
    action = only(seen(WANTED, capabilities=told(ESP32)), desired)
    assert action == ActivatePrebaked(device(1).name, EVERYWHERE.name, V1, {"threshold": 0.9}, "was made with m@1")


def test_the_devices_word_on_what_it_was_made_with_goes_over_its_types() -> None:
    desired = fleet([device(1)], [replace(EVERYWHERE, model=V1)], types=[ESP32])
    made_without = replace(told(ESP32), prebaked=())
    assert isinstance(only(seen(capabilities=made_without), desired), Install)
    made_with = replace(told(PLAIN), prebaked=(Digest(WANTED[:32]),))
    assert isinstance(only(seen(OLD, capabilities=made_with)), ActivatePrebaked)


# ---------------------------------------------------------------- can't


def cant(action: Action) -> Blocked:
    assert isinstance(action, Blocked)
    return action


def test_it_never_reported() -> None:
    action = cant(only(None))
    assert (action.reason, action.why) == (BlockedReason.SILENT, "has never reported; m@2 waits for it")


def test_it_fell_silent() -> None:
    action = cant(only(seen(OLD, last_seen=LONG_AGO)))
    assert (action.reason, action.why) == (BlockedReason.SILENT, "not reporting since 2026-11-21 09:00:00 UTC")


def test_a_settled_device_that_fell_silent_is_not_taken_for_well() -> None:
    assert cant(only(seen(WANTED, parameters=OWN, last_seen=LONG_AGO))).reason is BlockedReason.SILENT


def test_silence_begins_to_the_second() -> None:
    edge = NOW - timedelta(seconds=ALONE.fleet.silent_after_s)
    assert isinstance(only(seen(OLD, last_seen=edge)), Blocked)
    assert isinstance(only(seen(OLD, last_seen=edge + timedelta(seconds=1))), Install)


def test_git_does_not_know_it() -> None:
    actions = plan(fleet([], []), Observed(devices={device(1).name: seen()}), NOW)
    assert actions == (Blocked(device(1).name, None, BlockedReason.UNKNOWN, "reports, but Git does not know it"),)


def test_it_failed_before() -> None:
    action = cant(only(seen(OLD), failed=WANTED))
    assert action.reason is BlockedReason.QUARANTINED
    assert action.why == "m@2 failed on it and is not tried again until Git changes; it keeps what it runs"


def test_another_model_that_failed_does_not_matter() -> None:
    assert isinstance(only(seen(OLD), failed=OLD), Install)


def test_no_updates_over_the_air() -> None:
    action = cant(only(seen(), wanting(EVERYWHERE, SEALED.name)))
    assert action.reason is BlockedReason.NO_UPDATES
    assert action.why.startswith("takes no updates over the air, and m@2 is not pre-baked in it")


def test_a_device_says_that_it_takes_no_updates() -> None:
    assert cant(only(seen(capabilities=replace(told(PLAIN), updates=False)))).reason is BlockedReason.NO_UPDATES


def test_parameters_change_even_where_models_can_not() -> None:
    report = seen(digest_of(V2, SEALED.name), parameters={})
    assert isinstance(only(report, wanting(EVERYWHERE, SEALED.name)), Configure)


def needing(needs: Needs) -> Action:
    """Plan a model that is not built yet, by what it says that it needs."""
    desired = replace(ALONE, models={**ALONE.models, V2: model(V2, needs)})
    (action,) = plan(desired, observe({"d001": seen()}), NOW)
    return action


def test_operators_are_missing_and_named() -> None:
    action = cant(needing(Needs(frozenset({"MEAN", "CONV_2D", "ADD"}))))
    assert (action.reason, action.short_by) == (BlockedReason.OPERATORS, 0)
    assert action.why == "m@2 does not fit: it lacks operators ADD, MEAN; it keeps what it runs"


def test_the_slot_is_short_by_so_many_bytes() -> None:
    action = cant(needing(Needs(slot_bytes=5000)))
    assert (action.reason, action.short_by) == (BlockedReason.SLOT, 904)
    assert "the slot is 904 bytes short (5,000 needed, 4,096 there)" in action.why


def test_the_arena_is_short_by_so_many_bytes() -> None:
    action = cant(needing(Needs(arena_bytes=2049)))
    assert (action.reason, action.short_by) == (BlockedReason.ARENA, 1)


def test_all_that_is_short_is_told_and_the_first_reason_names_it() -> None:
    action = cant(needing(Needs(frozenset({"ADD"}), 5000, 5000)))
    assert (action.reason, action.also) == (BlockedReason.OPERATORS, (BlockedReason.SLOT, BlockedReason.ARENA))
    assert "operator ADD" in action.why
    assert "slot is 904" in action.why
    assert "arena is 2,952" in action.why


def test_what_just_fits_fits() -> None:
    assert isinstance(needing(Needs(frozenset({"CONV_2D"}), 4096, 2048)), Install)


def test_a_built_artifact_knows_better_than_its_model() -> None:
    assert cant(only(seen(), wanting(EVERYWHERE, TINY.name))).reason is BlockedReason.SLOT
    modest = replace(ALONE, models={**ALONE.models, V2: model(V2, Needs(slot_bytes=99_999))})
    assert isinstance(only(seen(), modest), Install)


def test_what_the_device_tells_of_itself_goes_over_its_type() -> None:
    small = replace(told(PLAIN), slot_bytes=999)
    assert cant(only(seen(capabilities=small))).short_by == 1
    desired = wanting(EVERYWHERE, TINY.name)
    assert isinstance(only(seen(capabilities=replace(told(TINY), slot_bytes=4096)), desired), Install)


def test_another_pack_format() -> None:
    action = cant(only(seen(capabilities=replace(told(PLAIN), pack_format=2))))
    assert action.reason is BlockedReason.PACK_FORMAT
    assert "reads pack format 2, packs for esp32 are format 1" in action.why


def test_another_type_than_git_says() -> None:
    action = cant(only(seen(capabilities=replace(told(PLAIN), type=TypeId("nrf52")))))
    assert action.reason is BlockedReason.WRONG_TYPE
    assert "Git says that its type is esp32, the device says nrf52" in action.why


def test_what_can_never_be_is_told_even_of_a_silent_device() -> None:
    desired = wanting(EVERYWHERE, TINY.name)
    for report in (seen(last_seen=LONG_AGO), None):
        action = cant(only(report, desired))
        assert (action.reason, action.also) == (BlockedReason.SLOT, (BlockedReason.SILENT,))


def test_two_devices_of_one_name_are_told_before_all_else() -> None:
    action = cant(only(seen(WANTED, parameters=OWN, cloned=True)))
    assert action.reason is BlockedReason.CLONED
    assert action.why.startswith("two devices answer in its name")


# ---------------------------------------------------------------- fallbacks

TO_PREBAKED = replace(EVERYWHERE, fallback=Fallback.PREBAKED)
BAKED = digest_of(V1, SEALED.name)


def falling_back(report: ObservedDevice, capabilities: Capabilities | None = None) -> Action:
    return only(replace(report, capabilities=capabilities), wanting(TO_PREBAKED, SEALED.name))


def test_a_pre_baked_model_stands_in() -> None:
    action = falling_back(seen())
    assert isinstance(action, ActivatePrebaked)
    assert (action.model, action.parameters) == (V1, OWN)
    assert action.why.endswith("it must be provisioned anew; falls back to the pre-baked m@1")


def test_it_stands_in_already() -> None:
    action = cant(falling_back(seen(BAKED)))
    assert action.why.endswith("; it runs a pre-baked model instead")


def test_before_it_was_built_here_any_pre_baked_model_counts() -> None:
    desired = wanting(TO_PREBAKED, SEALED.name)
    report = seen(Digest(BAKED[:32]), capabilities=told(SEALED))
    (action,) = plan(desired, observe({"d001": report}), NOW)
    assert isinstance(action, Blocked)


def test_a_device_that_was_made_without_it_has_nothing_to_fall_back_to() -> None:
    action = cant(falling_back(seen(), replace(told(SEALED), prebaked=())))
    assert action.why.endswith("; no pre-baked model can stand in")


def test_a_fallback_that_failed_too_is_not_tried() -> None:
    action = only(seen(), wanting(TO_PREBAKED, SEALED.name), failed=BAKED)
    assert cant(action).why.endswith("; no pre-baked model can stand in")


def test_where_failures_are_taken_back_nothing_needs_to_stand_in() -> None:
    rolled_back = replace(EVERYWHERE, fallback=Fallback.PREBAKED, on_failure=OnFailure.ROLL_BACK)
    action = only(seen(OLD), fleet([device(1)], [rolled_back], types=[ESP32]), failed=WANTED)
    assert cant(action).why == "m@2 failed on it and is not tried again until Git changes; it keeps what it runs"


def test_another_version_of_the_wanted_model_stands_in_first() -> None:
    kind = replace(SEALED, prebaked=(OTHER, V1))
    action = only(seen(), fleet([device(1, SEALED.name)], [TO_PREBAKED], types=[kind]))
    assert isinstance(action, ActivatePrebaked)
    assert action.model == V1


def test_a_failed_device_falls_back_too() -> None:
    desired = fleet([device(1)], [TO_PREBAKED], types=[ESP32])
    action = only(seen(None, capabilities=told(ESP32)), desired, failed=WANTED)
    assert isinstance(action, ActivatePrebaked)


@pytest.mark.parametrize("report", [seen(last_seen=LONG_AGO), seen(capabilities=told(ESP32))], ids=["silent", "wrong"])
def test_who_can_not_be_asked_or_is_not_who_git_says_does_not_fall_back(report: ObservedDevice) -> None:
    assert isinstance(only(report, wanting(TO_PREBAKED, SEALED.name)), Blocked)


def test_a_technician_is_called() -> None:
    action = only(seen(), wanting(replace(EVERYWHERE, fallback=Fallback.REPORT), SEALED.name))
    assert cant(action).why.endswith("; it needs a technician")
