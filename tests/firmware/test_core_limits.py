# SPDX-License-Identifier: Apache-2.0
"""Parameters, attacks and unusual devices: the real core on a flash model, in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from reconciler.compiler.pack.tunable_parameters_section import Parameter
from reconciler.devices.messages import Have, Missing, Stage, TransferResult, encode, parse_answer
from reconciler.devices.reports import Flag, ModelLocation
from reconciler.model import Phase
from signing import delegation, envelope, keys
from signing.identifiers import key_id
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import Cut, HostAgent, PowerCutError, Wear
from tests.firmware.orders import (
    FAILING,
    NEW,
    OLD,
    PREBAKED,
    SECOND_PREBAKED,
    SMALL,
    THIRD,
    Delivery,
    Outcome,
    deliver,
    digest,
    install,
    parameters,
    put,
    report,
)
from tests.firmware.samples import with_parameters

FLASH, IMAGE, NO_UPDATES, ENCODING = -64, -72, -75, -76
GOLDEN, PARAMETER = -87, -88
NARROW = with_parameters(PREBAKED, Parameter(1, 7, 5, 9), Parameter(2, -7, -9, -5))


# ---------------------------------------------------------------- parameters


def test_configure_by_envelope_alone(updated: HostAgent, bench: Bench, made: Made) -> None:
    decision, score = updated.infer(bytes(1500))
    assert decision == 0
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {0: score - 1}))) == Outcome(0, 0)
    assert updated.infer(bytes(1500)) == (1, score)
    assert (parameters(updated, made), report(updated, made).sequence) == ({0: score - 1}, 3)
    updated.boot()
    assert updated.infer(bytes(1500)) == (1, score)
    assert deliver(updated, Delivery(bench.configure(made, NEW, 4, {}))).code == 0
    assert updated.infer(bytes(1500)) == (0, score)
    assert report(updated, made).parameters == 0


def test_parameters_stay_with_their_model(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {0: -5}))).code == 0
    assert deliver(updated, install(bench, made, FAILING, 4)).code == GOLDEN
    assert parameters(updated, made) == {0: -5}, "a failed trial changes nothing"
    assert deliver(updated, install(bench, made, THIRD, 5)).code == 0
    assert parameters(updated, made) == {}
    assert deliver(updated, install(bench, made, NEW, 6)).code == 0
    assert parameters(updated, made) == {}, "a newly activated pack starts with its defaults"


def test_configure_checks_model_index_and_range(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, Delivery(bench.configure(made, OLD, 3, {0: 0}))).code == -VerificationCode.MODEL
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {1: 0}))).code == PARAMETER
    assert report(updated, made).sequence == 2
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {0: 2**31 - 1}))).code == 0


@pytest.mark.parametrize("values", [{1: 5}, {1: 9}, {2: -9}, {1: 5, 2: -5}, {}], ids=str)
def test_values_in_the_ranges_of_their_parameters_are_taken(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, values: dict[int, int]
) -> None:
    """Neither range has 0 in it, which is what memory behind the values has."""
    agent = make_core(made.region(NARROW))
    assert deliver(agent, Delivery(bench.configure(made, NARROW, 1, {1: 6}))).code == 0
    assert deliver(agent, Delivery(bench.configure(made, NARROW, 2, values))).code == 0
    agent.boot()
    assert parameters(agent, made) == values


@pytest.mark.parametrize("values", [{1: 4}, {1: 10}, {2: -10}, {1: 5, 2: -4}, {3: 5}], ids=str)
def test_values_out_of_the_ranges_of_their_parameters_are_refused(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, values: dict[int, int]
) -> None:
    agent = make_core(made.region(NARROW))
    assert deliver(agent, Delivery(bench.configure(made, NARROW, 1, {1: 6}))).code == 0
    assert deliver(agent, Delivery(bench.configure(made, NARROW, 2, values))).code == PARAMETER
    agent.boot()
    assert (report(agent, made).sequence, parameters(agent, made)) == (1, {1: 6})


# ---------------------------------------------------------------- attacks


def test_replay(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = install(bench, made, OLD, 1)
    assert deliver(updated, first).code == -VerificationCode.SEQUENCE
    assert deliver(updated, install(bench, made, THIRD, 2)).code == -VerificationCode.SEQUENCE
    assert Flag.ENVELOPE_REFUSED in report(updated, made).flags
    assert updated.running() == digest(NEW)


def test_wrong_device(updated: HostAgent, bench: Bench) -> None:
    other = bench.device("pump-2")
    assert deliver(updated, install(bench, other, THIRD, 3)).code == -VerificationCode.DEVICE


def test_wrong_key(updated: HostAgent, bench: Bench, made: Made) -> None:
    envelope = bench.install(made, THIRD, 3, signer=keys.generate())
    assert deliver(updated, Delivery(envelope, THIRD)).code == -VerificationCode.SIGNER


def test_endless_data(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The payload's length is known before the first block: a longer one does not match this envelope."""
    delivery = install(bench, made, THIRD, 3)
    assert deliver(updated, replace(delivery, payload=THIRD + bytes(4))).code == ENCODING


def test_a_truncated_message_changes_nothing(updated: HostAgent, bench: Bench, made: Made) -> None:
    operations = updated.operations
    message = encode(install(bench, made, THIRD, 3).offer)
    for length in range(len(message)):
        assert updated.handle(message[:length]) == b""
    assert updated.operations == operations


# ---------------------------------------------------------------- the rest


def test_a_device_without_slots_takes_prebaked_and_parameters(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made
) -> None:
    agent = make_core(made.region(PREBAKED, SECOND_PREBAKED), replace(SMALL, slot=0))
    assert deliver(agent, Delivery(bench.install(made, SECOND_PREBAKED, 1))).code == 0
    assert agent.running() == digest(SECOND_PREBAKED)
    assert deliver(agent, Delivery(bench.configure(made, SECOND_PREBAKED, 2, {0: 7}))).code == 0
    assert parameters(agent, made) == {0: 7}
    assert deliver(agent, install(bench, made, make_pack(1, inputs=30), 3)).code == NO_UPDATES


def test_the_journal_survives_hundreds_of_starts_and_updates(updated: HostAgent, bench: Bench, made: Made) -> None:
    for sequence in range(3, 40):
        assert deliver(updated, Delivery(bench.configure(made, NEW, sequence, {0: sequence}))).code == 0
        for _ in range(7):
            boots = report(updated, made).boots
            updated.boot()
            assert report(updated, made).boots == boots + 1
        assert (report(updated, made).sequence, parameters(updated, made)) == (sequence, {0: sequence})


def test_a_journal_of_noise_is_reported_and_rewritten(updated: HostAgent, bench: Bench, made: Made) -> None:
    for name in ("journal0", "journal1"):
        region = updated.geometry.regions()[name]
        updated.write_flash(region.offset, bytes(range(256)) * (region.size // 256))
    updated.boot()
    reported = report(updated, made)
    assert (reported.sequence, reported.location) == (0, ModelLocation.PREBAKED)
    assert Flag.JOURNAL_REPAIRED in reported.flags
    assert deliver(updated, install(bench, made, THIRD, 1)).code == 0


# ---------------------------------------------------------------- delegation


def test_a_delegation_is_held_across_resets(newborn: HostAgent, bench: Bench, made: Made) -> None:
    def bare(pack: bytes, sequence: int) -> Delivery:
        order = envelope.InstallOrder(sequence, digest(pack), len(pack))
        return Delivery(envelope.make(bench.gateway, made.target, order), pack)

    assert deliver(newborn, bare(OLD, 1)).code == -VerificationCode.NO_DELEGATION
    assert deliver(newborn, install(bench, made, OLD, 1)).code == 0
    newborn.boot()
    assert deliver(newborn, bare(NEW, 2)).code == 0
    reported = report(newborn, made)
    assert (reported.epoch, reported.gateway) == (1, key_id(bench.gateway.public_key))


def test_stolen_gateway_key(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The root delegates another key with the next epoch: what the old one signs is refused from then on."""
    heir = keys.generate()
    grant = delegation.Delegation(heir.public_key, bench.vendor, epoch=2)
    order = envelope.InstallOrder(3, digest(NEW), len(NEW))
    renewed = envelope.make(heir, made.target, order, delegation.delegate(bench.root, grant))
    assert deliver(updated, Delivery(renewed)) == Outcome(0, 0)
    assert deliver(updated, install(bench, made, THIRD, 4)).code == -VerificationCode.REVOKED
    updated.boot()
    assert updated.running() == digest(NEW)
    assert report(updated, made).epoch == 2
    # what the old key had let in is still good to fall back to
    region = updated.geometry.regions()["slot1"]
    updated.write_flash(region.offset + 64, b"\0" * 64)
    updated.boot()
    assert updated.running() == digest(OLD)


# ---------------------------------------------------------------- flash that refuses what is torn and reads FF


@dataclass(frozen=True)
class Stained:
    """A device that receives THIRD, until power is lost during the mark of a block or of an erase unit."""

    agent: HostAgent
    delivery: Delivery
    mark: int

    def stain(self) -> None:
        geometry = self.agent.geometry
        self.agent.stain_flash(geometry.regions()["marks"].offset + self.mark * geometry.write, geometry.write)


@pytest.fixture(params=["of an erase unit", "of a block"])
def stained(request: pytest.FixtureRequest, updated: HostAgent, bench: Bench, made: Made) -> Stained:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    block = updated.geometry.erase // delivery.block_bytes  # the first one of the second unit
    for index in range(block):
        delivery.send(updated, index)
    units = updated.geometry.slot // updated.geometry.erase
    found = Stained(updated, delivery, 1 if request.param == "of an erase unit" else units + block)
    found.stain()
    updated.boot()
    return found


def test_a_torn_mark_does_not_stall_a_transfer(stained: Stained, made: Made) -> None:
    agent, delivery = stained.agent, stained.delivery
    assert deliver(agent, delivery).code == 0
    assert agent.running() == digest(THIRD)
    assert report(agent, made).error == 0


@pytest.mark.parametrize("worn", ["scratch", "slot0"])
def test_a_repair_that_fails_loses_no_block_unnoticed(updated: HostAgent, bench: Bench, made: Made, worn: str) -> None:
    """Block 3 is repaired. Block 0 of its unit can't be copied, to scratch or back: the transfer starts again."""
    delivery = install(bench, made, THIRD, 3)
    wrong = replace(delivery, payload=THIRD[: 3 * 128] + bytes(128) + THIRD[4 * 128 :])
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        wrong.send(updated, index, corrected=index == 3)
    put(updated, Stage(delivery.name))
    updated.settle()
    updated.wear_flash(updated.geometry.regions()[worn].offset, 64, Wear.REFUSES)
    delivery.send(updated, 3)
    updated.wear_flash(0, 0, Wear.REFUSES)
    assert parse_answer(updated.handle(encode(Missing(delivery.name)))) == Have(delivery.name, 0, b"")
    for index in range(delivery.blocks - 1):
        delivery.send(updated, index)
    updated.boot()  # there is nothing left to repair
    assert deliver(updated, delivery) == Outcome(0, 1)


@pytest.mark.parametrize("operation", range(1, 18))
def test_a_repair_survives_a_cut_after_each_operation(
    updated: HostAgent, bench: Bench, made: Made, operation: int
) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    for index in range(3):
        delivery.send(updated, index)
    updated.cut_after(1, Cut.TORN, seed=3)
    with pytest.raises(PowerCutError):
        delivery.send(updated, 3)
    updated.boot()
    updated.cut_after(operation, Cut.AFTER)
    with suppress(PowerCutError):  # the repair may have fewer operations
        delivery.send(updated, 3)
        updated.cut_after(0, Cut.AFTER)
    updated.boot()
    assert deliver(updated, delivery).code == 0
    assert updated.running() == digest(THIRD)


def test_blocks_written_after_a_repair_survive_a_restart(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The copy in scratch does not have them: a start must not repair their erase unit again."""
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    delivery.send(updated, 0)
    updated.cut_after(1, Cut.TORN, seed=3)
    with pytest.raises(PowerCutError):
        delivery.send(updated, 1)
    updated.boot()
    for index in range(1, 4):  # a repair, and the rest of the erase unit
        delivery.send(updated, index)
    updated.boot()
    assert deliver(updated, delivery) == Outcome(0, delivery.blocks - 4)
    assert updated.running() == digest(THIRD)


def test_a_repair_that_fails_at_a_start_ends_the_transfer(updated: HostAgent, bench: Bench, made: Made) -> None:
    """Flash that wore out in the slot that receives does not keep a device from starting."""
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    for index in range(3):
        delivery.send(updated, index)
    updated.cut_after(1, Cut.TORN, seed=3)
    with pytest.raises(PowerCutError):
        delivery.send(updated, 3)
    updated.boot()
    updated.cut_after(9, Cut.AFTER)  # scratch, six copies, the record, and the unit
    with pytest.raises(PowerCutError):
        delivery.send(updated, 3)
    updated.wear_flash(updated.geometry.regions()["slot0"].offset, 64, Wear.REFUSES)
    updated.boot()
    assert (report(updated, made).phase, updated.running()) == (Phase.CONFIRMED, digest(NEW))
    updated.wear_flash(0, 0, Wear.REFUSES)
    updated.boot()
    assert deliver(updated, delivery) == Outcome(0, delivery.blocks)


def test_more_corrected_blocks_than_a_device_remembers_are_not_asked_for_again(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    """The wrong one may be among those that it has forgotten."""
    delivery = replace(install(bench, made, THIRD, 3), block_bytes=32)
    wrong = replace(delivery, payload=delivery.payload[:-32] + bytes(32))
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        wrong.send(updated, index, corrected=True)
    put(updated, Stage(delivery.name))
    updated.settle()
    assert parse_answer(updated.handle(encode(Missing(delivery.name)))) == TransferResult(delivery.name, IMAGE)


def test_a_transfer_restarts_at_most_once_per_start(stained: Stained, made: Made) -> None:
    """A mark that refuses again is worn out. Erasing all marks for each block would wear out the others."""
    agent, delivery = stained.agent, stained.delivery
    put(agent, delivery.offer)
    first = stained.agent.geometry.erase // delivery.block_bytes
    delivery.send(agent, first)  # refused: the transfer restarts
    assert parse_answer(agent.handle(encode(Missing(delivery.name)))) == Have(delivery.name, 0, b"")
    stained.stain()
    for index in range(delivery.blocks):
        delivery.send(agent, index)
    have = parse_answer(agent.handle(encode(Missing(delivery.name))))
    assert isinstance(have, Have)
    assert have.first == first
    assert report(agent, made).error == FLASH
    agent.boot()
    assert deliver(agent, delivery).code == 0
    assert agent.running() == digest(THIRD)
