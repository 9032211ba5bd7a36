# SPDX-License-Identifier: Apache-2.0
"""How the agent handles offers and blocks: the real core on a flash model, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import heatshrink2
import pytest

from reconciler.compiler.payload.patch import make_patch
from reconciler.devices.messages import Have, Missing, Offer, PayloadOffer, Stage, TransferResult, encode, parse_answer
from reconciler.devices.reports import DecisionReason, Flag, ModelLocation
from reconciler.model import PayloadEncoding, Phase
from signing import envelope
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import AgentError, Geometry, HostAgent
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
    put,
    report,
    stage,
)

NO_TRANSFER, BLOCK_SIZE, TOO_LARGE, ENCODING, NO_PAYLOAD = -72, -73, -74, -76, -78
PATCH, GOLDEN = -82, -87
CAPACITY = -71


# ---------------------------------------------------------------- install


def test_a_new_device_runs_its_prebaked_model(newborn: HostAgent, made: Made) -> None:
    reported = report(newborn, made)
    assert (reported.phase, reported.location, reported.why, reported.sequence) == (
        Phase.IDLE,
        ModelLocation.PREBAKED,
        DecisionReason.FELL_BACK_TO_PREBAKED,
        0,
    )
    assert newborn.running() == digest(PREBAKED)


def test_two_installs_fill_both_slots(updated: HostAgent, made: Made) -> None:
    reported = report(updated, made)
    assert (reported.phase, reported.location, reported.why, reported.sequence) == (
        Phase.CONFIRMED,
        ModelLocation.SLOT_B,
        DecisionReason.CONFIRMED,
        2,
    )
    assert (reported.running, reported.other, reported.failed, reported.error) == (
        digest(NEW)[:16],
        digest(OLD)[:16],
        None,
        0,
    )
    updated.boot()
    assert report(updated, made).why is DecisionReason.CONFIRMED


def test_going_back_takes_a_newer_envelope_and_no_block(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, OLD, 3)) == Outcome(0, 0)
    assert updated.running() == digest(OLD)
    assert report(updated, made).sequence == 3


@pytest.mark.parametrize("pack", [PREBAKED, SECOND_PREBAKED], ids=["the first", "the second"])
def test_an_envelope_alone_activates_a_prebaked_model(
    updated: HostAgent, bench: Bench, made: Made, pack: bytes
) -> None:
    assert deliver(updated, Delivery(bench.install(made, pack, 3))) == Outcome(0, 0)
    for _ in range(2):
        reported = report(updated, made)
        assert (reported.location, reported.why, reported.running) == (
            ModelLocation.PREBAKED,
            DecisionReason.PREBAKED_REQUESTED,
            digest(pack)[:16],
        )
        updated.boot()
    assert updated.running() == digest(pack)
    assert deliver(updated, Delivery(bench.install(made, OLD, 4))) == Outcome(0, 0), "the slots are as they were"
    assert deliver(updated, Delivery(bench.install(made, NEW, 5))) == Outcome(0, 0)


def test_a_prebaked_model_that_runs_for_want_of_another_can_be_confirmed(
    newborn: HostAgent, bench: Bench, made: Made
) -> None:
    assert deliver(newborn, Delivery(bench.install(made, PREBAKED, 1))) == Outcome(0, 0)
    assert (report(newborn, made).phase, report(newborn, made).why) == (
        Phase.CONFIRMED,
        DecisionReason.PREBAKED_REQUESTED,
    )


def test_an_install_around_what_runs_only_renews_the_envelope(updated: HostAgent, bench: Bench, made: Made) -> None:
    boots = report(updated, made).boots
    assert deliver(updated, Delivery(bench.install(made, NEW, 3))) == Outcome(0, 0)
    reported = report(updated, made)
    assert (reported.sequence, reported.boots, reported.phase) == (3, boots, Phase.CONFIRMED)
    updated.boot()
    assert updated.running() == digest(NEW)


@pytest.mark.parametrize("pack", [OLD, PREBAKED], ids=["in a slot", "pre-baked"])
def test_a_pack_of_another_size_is_another_pack(updated: HostAgent, bench: Bench, made: Made, pack: bytes) -> None:
    """To keep such an envelope for the slot would make it fail its check at each start."""
    order = envelope.InstallOrder(3, digest(pack), len(pack) + 16)
    signed = envelope.make(bench.gateway, made.target, order)
    assert deliver(updated, Delivery(signed)).code == NO_PAYLOAD


def test_a_pack_that_failed_can_be_tried_again_without_blocks(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    assert deliver(updated, install(bench, made, FAILING, 4)) == Outcome(GOLDEN, 0)
    assert report(updated, made).sequence == 4


def test_an_offer_without_payload_of_an_unknown_pack(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, Delivery(bench.install(made, THIRD, 3))).code == NO_PAYLOAD
    assert report(updated, made).sequence == 2


@pytest.mark.parametrize(
    "geometry",
    [SMALL, replace(SMALL, write=1), replace(SMALL, write=32), replace(SMALL, erase=4096, marks=4096, journal=4096)],
)
@pytest.mark.parametrize("block_bytes", [96, 512, 1024])
def test_any_blocks_on_any_flash(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, geometry: Geometry, block_bytes: int
) -> None:
    agent = make_core(made.region(PREBAKED), geometry)
    for sequence, pack in ((1, OLD), (2, NEW), (3, THIRD)):
        assert deliver(agent, replace(install(bench, made, pack, sequence), block_bytes=block_bytes)).code == 0
        assert agent.running() == digest(pack)


def test_heatshrink_payload(updated: HostAgent, bench: Bench, made: Made) -> None:
    pack = make_pack(0, inputs=2000)
    packed = heatshrink2.compress(pack, window_sz2=8, lookahead_sz2=4)
    delivery = Delivery(bench.install(made, pack, 3), packed, PayloadEncoding.HEATSHRINK)
    assert deliver(updated, delivery).code == 0
    assert updated.running() == digest(pack)


def test_patch_against_what_runs(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = Delivery(bench.install(made, THIRD, 3), make_patch(THIRD, NEW), PayloadEncoding.PATCH, block_bytes=64)
    assert deliver(updated, delivery).code == 0
    assert updated.running() == digest(THIRD)


def test_a_patch_against_another_pack_is_refused(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = Delivery(bench.install(made, THIRD, 3), make_patch(THIRD, OLD), PayloadEncoding.PATCH)
    assert deliver(updated, delivery).code == PATCH
    assert updated.running() == digest(NEW)
    assert deliver(updated, delivery).code == PATCH, "the order has failed"
    assert deliver(updated, install(bench, made, THIRD, 4)).code == 0


# ---------------------------------------------------------------- transfers


def test_held_blocks_survive_a_reset(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert put(updated, delivery.offer) == Have(3, 0, b"")
    for index in (0, 1, 2, 5, 9):
        delivery.send(updated, index)
    updated.boot()
    reported = report(updated, made)
    assert reported.phase is Phase.RECEIVING
    assert reported.transfer is not None
    assert (reported.transfer.first, reported.transfer.payload_bytes) == (3, len(THIRD))
    assert updated.running() == digest(NEW)
    have = put(updated, replace(delivery, name=7).offer)
    assert isinstance(have, Have)
    assert sorted(set(range(delivery.blocks)) - set(delivery.missing(have))) == [0, 1, 2, 5, 9]
    assert deliver(updated, replace(delivery, name=7)) == Outcome(0, delivery.blocks - 5)


def test_a_newer_envelope_around_the_same_pack_keeps_the_blocks(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    for index in range(4):
        delivery.send(updated, index)
    newer = replace(install(bench, made, THIRD, 4), name=4)
    assert parse_answer(updated.handle(encode(newer.offer))) == Have(4, 4, b"")
    newer.send(updated, 4)
    assert parse_answer(updated.handle(encode(Missing(4)))) == Have(4, 5, b"")
    updated.boot()
    assert report(updated, made).sequence == 4
    assert deliver(updated, newer) == Outcome(0, delivery.blocks - 5)


def test_another_offer_replaces_an_open_transfer(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    delivery.send(updated, 0)
    other = make_pack(6, inputs=1400)
    assert deliver(updated, replace(install(bench, made, other, 4), name=4)).code == 0
    assert updated.running() == digest(other)


def test_the_same_offer_again_gets_the_same_answer(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert put(updated, delivery.offer) == put(updated, delivery.offer) == Have(3, 0, b"")
    assert deliver(updated, delivery).code == 0
    boots = report(updated, made).boots
    assert put(updated, delivery.offer) == TransferResult(3, 0)
    assert put(updated, Stage(3)) == TransferResult(3, 0)
    updated.settle()
    assert report(updated, made).boots == boots


def test_the_same_offer_while_staged_and_on_trial_changes_nothing(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    stage(updated, delivery)
    for phase in (Phase.STAGED, Phase.TRIAL):
        reported = report(updated, made)
        assert (reported.phase, reported.other) == (phase, digest(THIRD if phase is Phase.STAGED else NEW)[:16])
        operations = updated.operations
        assert put(updated, delivery.offer) == TransferResult(3, 1)
        assert updated.operations == operations
        updated.boot()


def test_stage_of_no_transfer(newborn: HostAgent, bench: Bench, made: Made) -> None:
    assert put(newborn, Stage(0)) == TransferResult(0, NO_TRANSFER), "before any envelope"
    assert put(newborn, Stage(3)) == TransferResult(3, NO_TRANSFER)
    delivery = install(bench, made, OLD, 1)
    put(newborn, delivery.offer)
    for index in range(delivery.blocks):
        delivery.send(newborn, index)
    assert put(newborn, Stage(4)) == TransferResult(4, NO_TRANSFER), "of another name"


def test_stage_while_the_pack_is_checked_does_not_start_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    """A device that starts again with each question of an impatient gateway never ends."""
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        delivery.send(updated, index)
    for _ in range(2):  # the hash takes two slices
        assert put(updated, Stage(3)) == TransferResult(3, 1)
        updated.poll()
    assert report(updated, made).phase is Phase.STAGED


def test_a_malformed_patch_with_a_corrected_block_is_asked_for_again(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    patch = make_patch(THIRD, NEW)
    delivery = Delivery(bench.install(made, THIRD, 3), patch, PayloadEncoding.PATCH, block_bytes=64)
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        replace(delivery, payload=b"\0" + patch[1:]).send(updated, index, corrected=index == 0)
    have = put(updated, Stage(3))
    assert isinstance(have, Have)
    assert delivery.missing(have) == [0]
    assert deliver(updated, delivery) == Outcome(0, 1)


def test_blocks_that_do_not_belong_are_dropped(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    replace(delivery, name=4).send(updated, 0)  # of no transfer
    replace(delivery, block_bytes=64).send(updated, 0)  # too short
    replace(delivery, payload=THIRD + bytes(256)).send(updated, delivery.blocks)  # beyond the end
    assert parse_answer(updated.handle(encode(Missing(3)))) == Have(3, 0, b"")
    assert Flag.MALFORMED_MESSAGES in report(updated, made).flags
    assert parse_answer(updated.handle(encode(Missing(4)))) == TransferResult(4, NO_TRANSFER)


def test_after_a_wrong_payload_a_newer_envelope_begins_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    wrong = bytearray(THIRD)
    wrong[700] ^= 4
    assert deliver(updated, replace(delivery, payload=bytes(wrong))).code == -VerificationCode.IMAGE
    assert updated.running() == digest(NEW)
    assert deliver(updated, delivery) == Outcome(-VerificationCode.IMAGE, 0), "the order has failed"
    assert deliver(updated, install(bench, made, THIRD, 4)) == Outcome(0, delivery.blocks)


def test_only_corrected_blocks_are_sent_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    wrong = bytearray(THIRD)
    wrong[5 * 128] ^= 1
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        replace(delivery, payload=bytes(wrong)).send(updated, index, corrected=index in (5, 8))
    assert put(updated, Stage(3)) == TransferResult(3, 1)
    updated.settle()
    have = put(updated, Stage(3))
    assert isinstance(have, Have)
    assert delivery.missing(have) == [5, 8]
    assert deliver(updated, delivery) == Outcome(0, 2)
    assert updated.running() == digest(THIRD)


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD), 16 * 65), BLOCK_SIZE),  # more than it takes
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD) - 4, 128), ENCODING),
        (PayloadOffer(PayloadEncoding.RESERVED, 500, 128), ENCODING),
        (PayloadOffer(PayloadEncoding.PATCH, SMALL.slot - 512, 128), TOO_LARGE),
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD), 16), BLOCK_SIZE),  # more marks than there is room for
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD), 0), BLOCK_SIZE),
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD), 120), BLOCK_SIZE),
        (PayloadOffer(PayloadEncoding.RAW, len(THIRD), 65535), BLOCK_SIZE),
        (PayloadOffer(PayloadEncoding.HEATSHRINK, 0, 128), TOO_LARGE),
        (PayloadOffer(PayloadEncoding.RAW, 0, 128), TOO_LARGE),
        (PayloadOffer(PayloadEncoding.HEATSHRINK, SMALL.slot + 16, 128), TOO_LARGE),
        (PayloadOffer(PayloadEncoding.HEATSHRINK, 2**32 - 1, 128), TOO_LARGE),
    ],
)
def test_impossible_offers(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, shape: PayloadOffer, code: int
) -> None:
    agent = make_core(made.region(PREBAKED), replace(SMALL, marks=0x200))
    assert put(agent, Offer(1, bench.install(made, THIRD, 1), shape)) == TransferResult(1, code)
    assert report(agent, made).sequence == 0


def test_blocks_of_half_a_write_unit_are_refused(make_core: Callable[..., HostAgent], bench: Bench, made: Made) -> None:
    agent = make_core(made.region(PREBAKED), replace(SMALL, write=32))
    shape = PayloadOffer(PayloadEncoding.RAW, len(THIRD), 112)
    assert put(agent, Offer(1, bench.install(made, THIRD, 1), shape)) == TransferResult(1, BLOCK_SIZE)


@pytest.mark.parametrize(
    ("pack_bytes", "shape"),
    [
        (SMALL.slot, PayloadOffer(PayloadEncoding.RAW, SMALL.slot, 1024)),
        (SMALL.slot // 2, PayloadOffer(PayloadEncoding.HEATSHRINK, SMALL.slot // 2, 128)),
        (1, PayloadOffer(PayloadEncoding.RAW, 1, 16)),
        ((256 - 16) * 16, PayloadOffer(PayloadEncoding.RAW, (256 - 16) * 16, 16)),  # as many blocks as there are marks
    ],
    ids=["raw", "encoded", "a byte", "marks"],
)
def test_offers_that_just_fit(
    newborn: HostAgent, bench: Bench, made: Made, pack_bytes: int, shape: PayloadOffer
) -> None:
    assert put(newborn, Offer(1, bench.install(made, bytes(pack_bytes), 1), shape)) == Have(1, 0, b"")


def test_what_follows_the_marks_is_no_mark(newborn: HostAgent, bench: Bench, made: Made) -> None:
    """A payload with as many blocks as there are marks, and a scratch that a repair has left full."""
    payload = bytes((256 - 16) * 16)
    delivery = Delivery(bench.install(made, payload, 1), payload, block_bytes=16)
    newborn.write_flash(newborn.geometry.regions()["scratch"].offset, bytes(SMALL.erase))
    assert put(newborn, delivery.offer) == Have(delivery.name, 0, b"")
    for index in range(1, delivery.blocks):
        delivery.send(newborn, index)
    assert missing(newborn, delivery) == Have(delivery.name, 0, b"\xff" * 29 + b"\x7f")
    delivery.send(newborn, 0)
    assert missing(newborn, delivery) == Have(delivery.name, delivery.blocks, b"")


def missing(agent: HostAgent, delivery: Delivery) -> Have:
    answer = parse_answer(agent.handle(encode(Missing(delivery.name))))
    assert isinstance(answer, Have)
    return answer


@pytest.mark.parametrize(
    ("held", "bits"),
    [
        ({1, 10}, b"\x01\x02"),  # each byte has only its own bits
        ({8}, b"\x80"),
        ({9}, b"\x00\x01"),
        ({2, 11}, b"\x02\x04"),  # the last block
    ],
)
def test_the_held_blocks_are_one_bit_each(
    updated: HostAgent, bench: Bench, made: Made, held: set[int], bits: bytes
) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert delivery.blocks > 11
    assert put(updated, delivery.offer) == Have(delivery.name, 0, b"")
    for index in held:
        delivery.send(updated, index)
    assert missing(updated, delivery) == Have(delivery.name, 0, bits)


@pytest.mark.parametrize("question", ["result", "have"])
def test_an_answer_may_fill_the_room_that_there_is_for_it(
    updated: HostAgent, bench: Bench, made: Made, question: str
) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert put(updated, delivery.offer) == Have(delivery.name, 0, b"")
    asked = encode(Missing(delivery.name if question == "have" else delivery.name + 1))
    answer = updated.handle(asked)
    room = len(answer) + (0 if question == "result" else -(-delivery.blocks // 8))  # for bits that may be set
    assert updated.handle_within(asked, room) == answer
    with pytest.raises(AgentError, match=str(CAPACITY)):
        updated.handle_within(asked, room - 1)


def test_a_pack_may_fill_its_slot(make_core: Callable[..., HostAgent], bench: Bench, made: Made) -> None:
    packs = (make_pack(6, inputs=inputs) for inputs in range(300, 4000))
    pack = next(pack for pack in packs if len(pack) % SMALL.erase == 0)
    agent = make_core(made.region(PREBAKED), replace(SMALL, slot=len(pack)))
    assert deliver(agent, install(bench, made, pack, 1)).code == 0
    agent.boot()
    assert agent.running() == digest(pack)


@pytest.mark.parametrize("torn_bytes", [b"", b"\0"])
def test_the_last_write_unit_is_filled_with_blank_bytes(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, torn_bytes: bytes
) -> None:
    """Also when the block is written after a repair of its erase unit."""
    agent = make_core(made.region(PREBAKED), replace(SMALL, write=32))
    delivery = install(bench, made, THIRD, 1)
    slot, rest = agent.geometry.regions()["slot0"], -len(THIRD) % 32
    put(agent, delivery.offer)
    for index in range(delivery.blocks - 1):
        delivery.send(agent, index)
    agent.write_flash(slot.offset + (delivery.blocks - 1) * delivery.block_bytes, torn_bytes)
    assert deliver(agent, delivery) == Outcome(0, 1)
    assert rest != 0
    assert agent.read_flash(slot.offset + len(THIRD), rest) == b"\xff" * rest


@pytest.mark.parametrize(("blocks", "code"), [(4096, None), (4097, BLOCK_SIZE)])
def test_a_transfer_has_at_most_4096_blocks(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, blocks: int, code: int | None
) -> None:
    agent = make_core(made.region(PREBAKED), Geometry())  # has marks for more
    shape = PayloadOffer(PayloadEncoding.RAW, blocks * 16, 16)
    answer = put(agent, Offer(1, bench.install(made, bytes(blocks * 16), 1), shape))
    assert answer == (Have(1, 0, b"") if code is None else TransferResult(1, code))
