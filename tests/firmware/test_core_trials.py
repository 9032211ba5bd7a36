# SPDX-License-Identifier: Apache-2.0
"""Trials, and what runs at a start: the real core on a flash model, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.devices.messages import TransferResult
from reconciler.devices.reports import DecisionReason, Flag, ModelLocation
from reconciler.model import Phase
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made, make_failing_pack
from tests.firmware.host import POLL_WORK, AgentError, HostAgent, Wear
from tests.firmware.orders import (
    FAILING,
    NEW,
    OLD,
    PREBAKED,
    SECOND_PREBAKED,
    THIRD,
    Delivery,
    Outcome,
    begin_trial,
    deliver,
    digest,
    install,
    put,
    report,
    stage,
)

JOURNAL, BUSY = -67, -77
PACK, KIND, GOLDEN, RESET, FAULT = -83, -84, -87, -90, -91


# ---------------------------------------------------------------- trials


def test_failing_golden_vectors_roll_back(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    reported = report(updated, made)
    assert (reported.phase, reported.why, reported.error) == (
        Phase.CONFIRMED,
        DecisionReason.FELL_BACK_TO_PREVIOUS,
        GOLDEN,
    )
    assert (reported.failed, reported.other) == (digest(FAILING)[:16],) * 2
    assert Flag.GOLDEN_VECTORS_FAILED in reported.flags
    assert updated.running() == digest(NEW)
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN, "the same order is not tried again"
    assert deliver(updated, install(bench, made, THIRD, 4)).code == 0
    assert report(updated, made).failed is None


def test_an_order_for_a_pack_that_failed_is_a_new_try(updated: HostAgent, bench: Bench, made: Made) -> None:
    """Until that is decided, its report does not name the pack: the earlier verdict is not that on this order."""
    no_pack = bytes(range(200))
    assert deliver(updated, install(bench, made, no_pack, 3)).code == PACK
    assert report(updated, made).failed == digest(no_pack)[:16]
    put(updated, Delivery(bench.install(made, THIRD, 4), THIRD).offer)
    assert report(updated, made).failed == digest(no_pack)[:16], "an order for another pack"
    put(updated, Delivery(bench.install(made, no_pack, 5), no_pack).offer)
    assert report(updated, made).failed is None


def test_a_failing_first_model_rolls_back_to_prebaked(newborn: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(newborn, install(bench, made, FAILING, 1)).code == GOLDEN
    reported = report(newborn, made)
    assert (reported.phase, reported.why) == (Phase.IDLE, DecisionReason.FELL_BACK_TO_PREBAKED)
    assert newborn.running() == digest(PREBAKED)


def test_offers_wait_for_a_trial(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    reported = report(updated, made)
    assert (reported.phase, reported.why, reported.running) == (
        Phase.TRIAL,
        DecisionReason.ON_TRIAL,
        digest(THIRD)[:16],
    )
    assert put(updated, Delivery(bench.install(made, OLD, 4)).offer) == TransferResult(3, BUSY)
    updated.settle()
    assert report(updated, made).phase is Phase.CONFIRMED


def test_a_new_trial_forgets_how_the_last_one_failed(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    begin_trial(updated, install(bench, made, THIRD, 4))
    assert Flag.GOLDEN_VECTORS_FAILED not in report(updated, made).flags


def wear_out_the_journal(agent: HostAgent) -> None:
    first, second = (agent.geometry.regions()[name] for name in ("journal0", "journal1"))
    agent.wear_flash(first.offset, first.size + second.size, Wear.LOSES_BITS)


def test_a_start_that_can_not_be_counted_is_an_error(updated: HostAgent, bench: Bench, made: Made) -> None:
    """A model that crashes at each start would never be rejected."""
    begin_trial(updated, install(bench, made, THIRD, 3))
    wear_out_the_journal(updated)
    with pytest.raises(AgentError) as failed:
        updated.boot()
    assert failed.value.args == (JOURNAL,)


def test_a_trial_survives_one_power_cut_and_not_two(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.boot()
    assert updated.running() == digest(THIRD)
    updated.boot()
    assert updated.running() == digest(NEW)
    reported = report(updated, made)
    assert (reported.error, reported.why) == (RESET, DecisionReason.FELL_BACK_TO_PREVIOUS)
    assert Flag.TRIAL_ENDED_BY_RESET in reported.flags


def test_a_trial_does_not_survive_a_fault(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.fault_next_boot()
    updated.boot()
    assert updated.running() == digest(NEW)
    assert report(updated, made).error == FAULT


def test_the_first_inferences_decide_as_well(updated: HostAgent, bench: Bench, made: Made) -> None:
    updated.set_trial_inferences(2)
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.settle()
    updated.infer(bytes(1500))
    assert report(updated, made).phase is Phase.TRIAL
    updated.infer(bytes(1500))
    assert report(updated, made).phase is Phase.CONFIRMED


def test_every_golden_vector_decides(updated: HostAgent, bench: Bench, made: Made) -> None:
    last_fails = make_failing_pack(5, inputs=300, vectors=3)
    assert deliver(updated, install(bench, made, last_fails, 3)).code == GOLDEN
    assert updated.running() == digest(NEW)


def test_a_model_whose_first_inference_faults_is_rejected(updated: HostAgent, bench: Bench, made: Made) -> None:
    updated.set_trial_inferences(2)
    updated.fault_inferences()
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.settle()
    with pytest.raises(AgentError):
        updated.infer(bytes(1500))
    assert updated.poll() & POLL_WORK
    updated.fault_inferences(faults=False)
    updated.settle()
    assert (report(updated, made).error, updated.running()) == (FAULT, digest(NEW))
    assert Flag.TRIAL_ENDED_BY_RESET in report(updated, made).flags


def test_a_fault_after_the_trial_is_counted_and_no_verdict(updated: HostAgent, made: Made) -> None:
    updated.fault_inferences()
    updated.boot()
    updated.settle()
    with pytest.raises(AgentError):
        updated.infer(bytes(1500))
    reported = report(updated, made)
    assert (reported.faults, reported.inferences, reported.phase) == (1, 0, Phase.CONFIRMED)
    assert Flag.INFERENCE_FAULT in reported.flags


def test_a_model_that_faults_on_its_first_input_is_rejected(updated: HostAgent, bench: Bench, made: Made) -> None:
    updated.set_trial_inferences(1)
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.settle()
    updated.fault_next_boot()
    updated.boot()
    assert (report(updated, made).error, updated.running()) == (FAULT, digest(NEW))


def test_a_silent_sensor_is_not_the_models_fault(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The 60 seconds begin after the golden vectors, not with the start of the device."""
    updated.set_trial_inferences(1)
    updated.let_pass(3600)
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.settle()
    updated.let_pass(59.999)
    assert report(updated, made).phase is Phase.TRIAL
    updated.let_pass(0.001)
    assert report(updated, made).phase is Phase.CONFIRMED


def test_a_sensor_without_input_ends_the_watch(updated: HostAgent, bench: Bench, made: Made) -> None:
    updated.set_trial_inferences(1)
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.input_missing()
    assert report(updated, made).phase is Phase.TRIAL, "the golden vectors come first"
    updated.settle()
    updated.input_missing()
    reported = report(updated, made)
    assert (reported.phase, reported.flags) == (Phase.CONFIRMED, Flag.SENSOR_INPUT_BAD)


@pytest.mark.parametrize("ends", [lambda agent: agent.infer(bytes(1500)), HostAgent.input_missing])
def test_a_confirmation_that_can_not_be_stored_is_reported(
    updated: HostAgent, bench: Bench, made: Made, ends: Callable[[HostAgent], object]
) -> None:
    updated.set_trial_inferences(1)
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.settle()
    wear_out_the_journal(updated)
    assert report(updated, made).error == 0
    ends(updated)
    assert report(updated, made).error == JOURNAL


def test_a_confirmation_forgets_all_failures_before(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    assert deliver(updated, install(bench, made, THIRD, 4)).code == 0
    for _ in range(2):
        reported = report(updated, made)
        assert (reported.failed, reported.error, reported.flags) == (None, 0, Flag(0))
        assert (reported.why, reported.phase) == (DecisionReason.CONFIRMED, Phase.CONFIRMED)
        updated.boot()


def test_a_failed_trial_is_reported_until_the_next_confirmation(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    updated.boot()
    reported = report(updated, made)
    assert (reported.failed, reported.error) == (digest(FAILING)[:16], GOLDEN)
    assert (reported.why, reported.flags) == (DecisionReason.FELL_BACK_TO_PREVIOUS, Flag.GOLDEN_VECTORS_FAILED)


def test_inferences_outside_of_a_trial_confirm_nothing(newborn: HostAgent, bench: Bench, made: Made) -> None:
    """Nor are they an error."""
    for phase in (Phase.IDLE, Phase.RECEIVING):
        newborn.infer(bytes(32))
        newborn.input_missing()
        reported = report(newborn, made)
        assert (reported.phase, reported.error) == (phase, 0)
        put(newborn, install(bench, made, NEW, 1).offer)


def test_a_malformed_pack_is_refused_before_any_trial(updated: HostAgent, bench: Bench, made: Made) -> None:
    none = b"TFPK" + bytes(600)
    boots = report(updated, made).boots
    assert deliver(updated, install(bench, made, none, 3)).code == PACK
    reported = report(updated, made)
    assert (reported.boots, reported.failed, reported.other) == (boots, digest(none)[:16], None)


# ---------------------------------------------------------------- faults later on


def fault(agent: HostAgent) -> None:
    agent.fault_next_boot()
    agent.boot()
    agent.settle()


def test_a_confirmed_model_that_keeps_faulting_is_rejected(updated: HostAgent, made: Made) -> None:
    updated.let_pass(3600)  # of a start that was healthy
    for _ in range(4):
        fault(updated)
        assert updated.running() == digest(NEW)
        assert Flag.INFERENCE_FAULT in report(updated, made).flags
    fault(updated)
    reported = report(updated, made)
    assert (reported.running, reported.why, reported.error) == (
        digest(OLD)[:16],
        DecisionReason.FELL_BACK_TO_PREVIOUS,
        FAULT,
    )
    assert (reported.failed, reported.phase) == (digest(NEW)[:16], Phase.CONFIRMED)
    for _ in range(5):
        fault(updated)
    assert updated.running() == digest(PREBAKED)
    for _ in range(12):
        fault(updated)
    assert updated.running() == digest(PREBAKED), "there is nothing better"


def test_what_runs_after_rejected_faults_says_so_until_a_confirmation(updated: HostAgent, made: Made) -> None:
    for _ in range(5):
        fault(updated)
    updated.boot()
    assert report(updated, made).why is DecisionReason.FELL_BACK_TO_PREVIOUS


def test_rejecting_the_only_installed_model_leaves_none_confirmed(newborn: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(newborn, install(bench, made, OLD, 1)).code == 0
    for _ in range(5):
        fault(newborn)
    reported = report(newborn, made)
    assert (reported.phase, reported.why) == (Phase.IDLE, DecisionReason.FELL_BACK_TO_PREBAKED)
    assert deliver(newborn, install(bench, made, NEW, 2)).code == 0


def test_rejected_faults_do_not_end_a_transfer(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    delivery.send(updated, 0)
    for _ in range(5):
        fault(updated)
    assert report(updated, made).phase is Phase.RECEIVING
    assert deliver(updated, delivery) == Outcome(0, delivery.blocks - 1)


def test_rejecting_a_prebaked_model_leaves_both_slots_to_fall_back_to(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    assert deliver(updated, Delivery(bench.install(made, PREBAKED, 3))).code == 0
    for _ in range(5):
        fault(updated)
    assert updated.running() == digest(OLD)


def test_faults_far_apart_do_not_add_up(updated: HostAgent) -> None:
    for _ in range(12):
        fault(updated)
        updated.let_pass(60)
    assert updated.running() == digest(NEW)


def test_faults_are_forgotten_after_a_minute_and_not_before(updated: HostAgent, made: Made) -> None:
    fault(updated)
    operations = updated.operations
    updated.let_pass(59.999)
    assert updated.operations == operations
    updated.let_pass(0.001)
    assert updated.operations == operations + 1
    updated.let_pass(3600)
    assert updated.operations == operations + 1, "a device without faults writes nothing"
    fault(updated)
    wear_out_the_journal(updated)
    updated.let_pass(61)
    assert report(updated, made).error == JOURNAL


def test_a_confirmation_forgets_the_faults_before(updated: HostAgent, bench: Bench, made: Made) -> None:
    for _ in range(4):
        fault(updated)
    assert deliver(updated, install(bench, made, THIRD, 3)).code == 0
    for _ in range(4):
        fault(updated)
    assert updated.running() == digest(THIRD)
    fault(updated)
    assert updated.running() == digest(NEW)


def test_a_model_that_is_left_takes_its_faults_along(updated: HostAgent) -> None:
    """The previous model gets as many attempts as the one that was rejected."""
    for _ in range(5):
        fault(updated)
    assert updated.running() == digest(OLD)
    for _ in range(4):
        fault(updated)
    assert updated.running() == digest(OLD)


def test_power_loss_is_not_a_fault(updated: HostAgent, made: Made) -> None:
    boots = report(updated, made).boots
    for _ in range(12):
        updated.boot()
    assert (updated.running(), report(updated, made).boots) == (digest(NEW), boots + 12)


# ---------------------------------------------------------------- what runs at a start


def damage(newborn: HostAgent, region: str, at: int = 200) -> None:
    offset = newborn.geometry.regions()[region].offset + at
    newborn.write_flash(offset, bytes([newborn.read_flash(offset, 1)[0] ^ 0x10]))


def test_a_rotten_slot_leads_to_the_previous_and_then_to_prebaked(updated: HostAgent, made: Made) -> None:
    damage(updated, "slot1")
    updated.boot()
    reported = report(updated, made)
    assert (reported.location, reported.why, reported.error) == (
        ModelLocation.SLOT_A,
        DecisionReason.FELL_BACK_TO_PREVIOUS,
        -VerificationCode.IMAGE,
    )
    assert Flag.SLOT_BAD_AT_BOOT in reported.flags
    assert reported.failed == digest(NEW)[:16]
    assert updated.running() == digest(OLD)
    updated.boot()
    assert report(updated, made).why is DecisionReason.FELL_BACK_TO_PREVIOUS
    damage(updated, "slot0")
    updated.boot()
    assert (report(updated, made).why, updated.running()) == (DecisionReason.FELL_BACK_TO_PREBAKED, digest(PREBAKED))
    damage(updated, "provisioned", 640 + 40)
    updated.boot()
    assert updated.running() == digest(SECOND_PREBAKED)
    damage(updated, "provisioned", 640 + (len(PREBAKED) + 7) // 8 * 8 + 40)
    updated.boot()
    reported = report(updated, made)
    assert (reported.location, reported.why, reported.running) == (
        ModelLocation.NOWHERE,
        DecisionReason.NOTHING_CAN,
        None,
    )


@pytest.mark.parametrize(
    ("pack", "at"), [(PREBAKED, 640), (SECOND_PREBAKED, 640 + (len(PREBAKED) + 7) // 8 * 8)], ids=["first", "second"]
)
def test_a_rotten_prebaked_model_leaves_both_slots_to_fall_back_to(
    updated: HostAgent, bench: Bench, made: Made, pack: bytes, at: int
) -> None:
    assert deliver(updated, Delivery(bench.install(made, pack, 3))).code == 0
    damage(updated, "provisioned", at + 40)
    updated.boot()
    assert updated.running() == digest(OLD)
    assert deliver(updated, Delivery(bench.install(made, pack, 4))).code == -VerificationCode.IMAGE
    for sequence, held in ((5, NEW), (6, OLD)):
        assert deliver(updated, Delivery(bench.install(made, held, sequence))) == Outcome(0, 0)


def test_a_rotten_prebaked_model_that_is_asked_for_again_fails(newborn: HostAgent, bench: Bench, made: Made) -> None:
    """It is still the confirmed one, but it does not run."""
    assert deliver(newborn, Delivery(bench.install(made, SECOND_PREBAKED, 1))).code == 0
    damage(newborn, "provisioned", 640 + (len(PREBAKED) + 7) // 8 * 8 + 40)
    newborn.boot()
    assert newborn.running() == digest(PREBAKED)
    order = Delivery(bench.install(made, SECOND_PREBAKED, 2))
    assert deliver(newborn, order).code == -VerificationCode.IMAGE


def test_a_pack_corrupted_before_its_trial_is_rejected(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    stage(updated, delivery)
    damage(updated, "slot0")
    updated.boot()
    reported = report(updated, made)
    assert (reported.running, reported.why, reported.error) == (
        digest(NEW)[:16],
        DecisionReason.FELL_BACK_TO_PREVIOUS,
        -VerificationCode.IMAGE,
    )
    assert (reported.other, reported.failed) == (None, digest(THIRD)[:16])


def test_reactivating_a_corrupted_pack_fails_and_it_is_sent_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    damage(updated, "slot0")
    assert deliver(updated, install(bench, made, OLD, 3)) == Outcome(-VerificationCode.IMAGE, 0)
    assert updated.running() == digest(NEW)
    assert deliver(updated, install(bench, made, OLD, 4)).blocks_sent > 0
    assert updated.running() == digest(OLD)


def test_both_slots_corrupted_at_once(updated: HostAgent, made: Made) -> None:
    damage(updated, "slot0")
    damage(updated, "slot1")
    updated.boot()
    reported = report(updated, made)
    assert (reported.location, reported.why, reported.phase) == (
        ModelLocation.PREBAKED,
        DecisionReason.FELL_BACK_TO_PREBAKED,
        Phase.IDLE,
    )


def test_a_corrupted_slot_is_examined_once(updated: HostAgent) -> None:
    """Each examination commits a record: at every start, they would wear out the journal."""
    damage(updated, "slot0")
    damage(updated, "slot1")
    updated.boot()
    operations = updated.operations
    updated.boot()
    assert updated.operations == operations + 1, "the tick"


def test_a_corrupted_slot_can_be_filled_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    damage(updated, "slot1")
    updated.boot()
    assert Flag.SLOT_BAD_AT_BOOT in report(updated, made).flags
    assert deliver(updated, install(bench, made, NEW, 3)).code == 0
    assert updated.running() == digest(NEW)
    assert report(updated, made).flags == Flag(0)


def test_a_failed_pack_is_not_confirmed_with_a_prebaked_one(newborn: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(newborn, install(bench, made, FAILING, 1)).code == GOLDEN
    assert deliver(newborn, Delivery(bench.install(made, PREBAKED, 2))).code == 0
    damage(newborn, "provisioned", 640 + 40)
    newborn.boot()
    assert newborn.running() == digest(SECOND_PREBAKED)


def test_a_pack_of_a_kind_without_an_engine_is_refused(updated: HostAgent, bench: Bench, made: Made) -> None:
    packs = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "pack.json").read_text())["good"]
    forest = next(bytes.fromhex(pack["pack"]) for pack in packs if pack["name"] == "forest regression")
    updated.fault_inferences()  # with the engine for kind 0 alone
    updated.boot()
    assert deliver(updated, install(bench, made, forest, 3)).code == KIND
    assert updated.running() == digest(NEW)


def test_a_failed_pack_is_never_fallen_back_to(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    damage(updated, "slot1")
    updated.boot()
    assert updated.running() == digest(PREBAKED)
