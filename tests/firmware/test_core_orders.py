# SPDX-License-Identifier: Apache-2.0
"""What the agent does with orders, one behaviour a test: the real core on a flash model, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import heatshrink2
import pytest

from reconciler.build.patch import make_patch
from reconciler.devices.bodies import Flag, Place, Why
from reconciler.devices.codec import Encoding, Have, Missing, Offer, Payload, Result, Stage, encode, parse_answer
from reconciler.model import Phase
from signing import keys
from signing.verdict import Verdict
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack
from tests.firmware.host import Geometry, HostAgent, HostLibrary
from tests.firmware.orders import Delivery, Outcome, deliver, digest, parameters, put, report

NO_TRANSFER, BLOCK_SIZE, TOO_LARGE, NO_UPDATES, ENCODING, BUSY, NO_PAYLOAD = -72, -73, -74, -75, -76, -77, -78
STREAM, PATCH, PACK, GOLDEN, PARAMETER, RESET, FAULT = -81, -82, -83, -87, -88, -90, -91
PREBAKED, SECOND_PREBAKED = make_pack(1), make_pack(9)
OLD, NEW, THIRD = make_pack(2, inputs=1500), make_pack(3, inputs=1500), make_pack(4, inputs=1500)
FAILING = make_failing_pack(5, inputs=1500)
SMALL = Geometry(erase=512, write=8, provisioned=0x1000, journal=0x1000, marks=0x800, slot=0x2000)
INPUT = bytes(32)


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def make(host_library: HostLibrary) -> Iterator[Callable[..., HostAgent]]:
    agents: list[HostAgent] = []

    def make_agent(region: bytes, geometry: Geometry = SMALL) -> HostAgent:
        agents.append(HostAgent(host_library, region, geometry=geometry))
        return agents[-1]

    yield make_agent
    for agent in agents:
        assert agent.violations == 0, "the core wrote to flash that was not erased, or outside"
        agent.close()


@pytest.fixture
def agent(make: Callable[..., HostAgent], made: Made) -> HostAgent:
    return make(made.region(PREBAKED, SECOND_PREBAKED))


def install(bench: Bench, made: Made, pack: bytes, sequence: int) -> Delivery:
    return Delivery(bench.install(made, pack, sequence), pack)


@pytest.fixture
def updated(agent: HostAgent, bench: Bench, made: Made) -> HostAgent:
    """A device that was given two models: NEW runs, OLD lies in the other slot."""
    assert deliver(agent, install(bench, made, OLD, 1)).code == 0
    assert deliver(agent, install(bench, made, NEW, 2)).code == 0
    return agent


# ---------------------------------------------------------------- install


def test_born_with_a_model(agent: HostAgent, made: Made) -> None:
    told = report(agent, made)
    assert (told.phase, told.place, told.why, told.sequence) == (
        Phase.IDLE,
        Place.PREBAKED,
        Why.FELL_BACK_TO_PREBAKED,
        0,
    )
    assert agent.running() == digest(PREBAKED)


def test_two_installs_fill_both_slots(updated: HostAgent, made: Made) -> None:
    told = report(updated, made)
    assert (told.phase, told.place, told.why, told.sequence) == (Phase.CONFIRMED, Place.SLOT_B, Why.CONFIRMED, 2)
    assert (told.running, told.other, told.failed, told.error) == (digest(NEW)[:16], digest(OLD)[:16], None, 0)


def test_going_back_takes_a_newer_envelope_and_no_block(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, OLD, 3)) == Outcome(0, 0)
    assert updated.running() == digest(OLD)
    assert report(updated, made).sequence == 3


def test_an_envelope_alone_activates_a_prebaked_model(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, Delivery(bench.install(made, SECOND_PREBAKED, 3))) == Outcome(0, 0)
    told = report(updated, made)
    assert (told.place, told.why, told.running) == (
        Place.PREBAKED,
        Why.PREBAKED_ASKED_FOR,
        digest(SECOND_PREBAKED)[:16],
    )
    updated.boot()
    assert updated.running() == digest(SECOND_PREBAKED)


def test_an_install_around_what_runs_only_renews_the_envelope(updated: HostAgent, bench: Bench, made: Made) -> None:
    boots = report(updated, made).boots
    assert deliver(updated, Delivery(bench.install(made, NEW, 3))) == Outcome(0, 0)
    told = report(updated, made)
    assert (told.sequence, told.boots, told.phase) == (3, boots, Phase.CONFIRMED)
    updated.boot()
    assert updated.running() == digest(NEW)


def test_an_offer_without_payload_of_a_pack_that_is_nowhere(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, Delivery(bench.install(made, THIRD, 3))).code == NO_PAYLOAD
    assert report(updated, made).sequence == 2


@pytest.mark.parametrize(
    "geometry",
    [SMALL, replace(SMALL, write=1), replace(SMALL, write=32), replace(SMALL, erase=4096, marks=4096, journal=4096)],
)
@pytest.mark.parametrize("block_bytes", [96, 512, 1024])
def test_any_blocks_on_any_flash(
    make: Callable[..., HostAgent], bench: Bench, made: Made, geometry: Geometry, block_bytes: int
) -> None:
    agent = make(made.region(PREBAKED), geometry)
    for sequence, pack in ((1, OLD), (2, NEW), (3, THIRD)):
        assert deliver(agent, replace(install(bench, made, pack, sequence), block_bytes=block_bytes)).code == 0
        assert agent.running() == digest(pack)


def test_heatshrink_payload(updated: HostAgent, bench: Bench, made: Made) -> None:
    pack = make_pack(0, inputs=2000)
    packed = heatshrink2.compress(pack, window_sz2=8, lookahead_sz2=4)
    delivery = Delivery(bench.install(made, pack, 3), packed, Encoding.HEATSHRINK)
    assert deliver(updated, delivery).code == 0
    assert updated.running() == digest(pack)


def test_patch_against_what_runs(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = Delivery(bench.install(made, THIRD, 3), make_patch(THIRD, NEW), Encoding.PATCH, block_bytes=64)
    assert deliver(updated, delivery).code == 0
    assert updated.running() == digest(THIRD)


def test_patch_against_another_pack_is_told(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = Delivery(bench.install(made, THIRD, 3), make_patch(THIRD, OLD), Encoding.PATCH)
    assert deliver(updated, delivery).code == PATCH
    assert updated.running() == digest(NEW)
    assert deliver(updated, replace(delivery, payload=THIRD, encoding=Encoding.RAW)).code == 0


# ---------------------------------------------------------------- transfers


def test_what_is_held_survives_a_reset(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert put(updated, delivery.offer) == Have(3, 0, b"")
    for index in (0, 1, 2, 5, 9):
        delivery.send(updated, index)
    updated.boot()
    told = report(updated, made)
    assert told.phase is Phase.RECEIVING
    assert told.transfer is not None
    assert (told.transfer.first, told.transfer.payload_bytes) == (3, len(THIRD))
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
    assert deliver(updated, install(bench, made, THIRD, 4)) == Outcome(0, delivery.blocks - 4)
    assert report(updated, made).sequence == 4


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
    assert put(updated, delivery.offer) == Result(3, 0)
    assert put(updated, Stage(3)) == Result(3, 0)
    updated.settle()
    assert report(updated, made).boots == boots


def test_blocks_that_do_not_belong_are_dropped(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    replace(delivery, name=4).send(updated, 0)  # of no transfer
    replace(delivery, block_bytes=64).send(updated, 0)  # too short
    replace(delivery, payload=THIRD + bytes(256)).send(updated, delivery.blocks)  # beyond the end
    assert parse_answer(updated.handle(encode(Missing(3)))) == Have(3, 0, b"")
    assert Flag.MALFORMED_MESSAGES in report(updated, made).flags
    assert parse_answer(updated.handle(encode(Missing(4)))) == Result(4, NO_TRANSFER)


def test_a_wrong_payload_begins_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    wrong = bytearray(THIRD)
    wrong[700] ^= 4
    assert deliver(updated, replace(delivery, payload=bytes(wrong))).code == -Verdict.IMAGE
    assert updated.running() == digest(NEW)
    assert deliver(updated, delivery) == Outcome(0, delivery.blocks)


def test_only_mended_blocks_are_sent_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    wrong = bytearray(THIRD)
    wrong[5 * 128] ^= 1
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        replace(delivery, payload=bytes(wrong)).send(updated, index, corrected=index in (5, 8))
    assert put(updated, Stage(3)) == Result(3, 1)
    updated.settle()
    have = put(updated, Stage(3))
    assert isinstance(have, Have)
    assert delivery.missing(have) == [5, 8]
    assert deliver(updated, delivery) == Outcome(0, 2)
    assert updated.running() == digest(THIRD)


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (Payload(Encoding.RAW, len(THIRD), 16 * 65), BLOCK_SIZE),  # more than it takes
        (Payload(Encoding.RAW, len(THIRD) - 4, 128), ENCODING),
        (Payload(Encoding.PATCH_HEATSHRINK, 500, 128), ENCODING),
        (Payload(Encoding.PATCH, SMALL.slot - 512, 128), TOO_LARGE),
        (Payload(Encoding.RAW, len(THIRD), 16), BLOCK_SIZE),  # more marks than there is room for
    ],
)
def test_offers_that_can_not_be(
    make: Callable[..., HostAgent], bench: Bench, made: Made, shape: Payload, code: int
) -> None:
    agent = make(made.region(PREBAKED), replace(SMALL, marks=0x200))
    assert put(agent, Offer(1, bench.install(made, THIRD, 1), shape)) == Result(1, code)
    assert report(agent, made).sequence == 0


# ---------------------------------------------------------------- trials


def test_failing_golden_vectors_lead_back(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    told = report(updated, made)
    assert (told.phase, told.why, told.error) == (Phase.CONFIRMED, Why.FELL_BACK_TO_PREVIOUS, GOLDEN)
    assert (told.failed, told.other) == (digest(FAILING)[:16],) * 2
    assert Flag.GOLDEN_VECTORS_FAILED in told.flags
    assert updated.running() == digest(NEW)
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN, "the same order is not tried again"
    assert deliver(updated, install(bench, made, THIRD, 4)).code == 0
    assert report(updated, made).failed is None


def test_the_first_model_failing_leads_back_to_prebaked(agent: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(agent, install(bench, made, FAILING, 1)).code == GOLDEN
    told = report(agent, made)
    assert (told.phase, told.why) == (Phase.IDLE, Why.FELL_BACK_TO_PREBAKED)
    assert agent.running() == digest(PREBAKED)


def begin_trial(agent: HostAgent, delivery: Delivery) -> None:
    """Up to the start that begins the trial, and not one step of it."""
    answer = put(agent, delivery.offer)
    assert isinstance(answer, Have)
    for index in range(delivery.blocks):
        delivery.send(agent, index)
    assert put(agent, Stage(delivery.name)) == Result(delivery.name, 1)
    while not agent.wants_reset:
        agent.poll()
    agent.boot()


def test_offers_wait_for_a_trial(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    told = report(updated, made)
    assert (told.phase, told.why, told.running) == (Phase.TRIAL, Why.ON_TRIAL, digest(THIRD)[:16])
    assert put(updated, Delivery(bench.install(made, OLD, 4)).offer) == Result(3, BUSY)
    updated.settle()
    assert report(updated, made).phase is Phase.CONFIRMED


def test_a_trial_survives_one_power_cut_and_not_two(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.boot()
    assert updated.running() == digest(THIRD)
    updated.boot()
    assert updated.running() == digest(NEW)
    told = report(updated, made)
    assert (told.error, told.why) == (RESET, Why.FELL_BACK_TO_PREVIOUS)
    assert Flag.TRIAL_ENDED_BY_RESET in told.flags


def test_a_trial_does_not_survive_a_fault(updated: HostAgent, bench: Bench, made: Made) -> None:
    begin_trial(updated, install(bench, made, THIRD, 3))
    updated.fault_next_boot()
    updated.boot()
    assert updated.running() == digest(NEW)
    assert report(updated, made).error == FAULT


def test_a_pack_that_is_none_is_refused_before_any_trial(updated: HostAgent, bench: Bench, made: Made) -> None:
    none = b"TFPK" + bytes(600)
    boots = report(updated, made).boots
    assert deliver(updated, install(bench, made, none, 3)).code == PACK
    told = report(updated, made)
    assert (told.boots, told.failed, told.other) == (boots, digest(none)[:16], None)


# ---------------------------------------------------------------- what runs at a start


def spoil(agent: HostAgent, region: str, at: int = 200) -> None:
    offset = agent.geometry.regions()[region].offset + at
    agent.write_flash(offset, bytes([agent.read_flash(offset, 1)[0] ^ 0x10]))


def test_a_rotten_slot_leads_to_the_previous_and_then_to_prebaked(updated: HostAgent, made: Made) -> None:
    spoil(updated, "slot1")
    updated.boot()
    told = report(updated, made)
    assert (told.place, told.why, told.error) == (Place.SLOT_A, Why.FELL_BACK_TO_PREVIOUS, -Verdict.IMAGE)
    assert Flag.SLOT_BAD_AT_BOOT in told.flags
    assert updated.running() == digest(OLD)
    spoil(updated, "slot0")
    updated.boot()
    assert (report(updated, made).why, updated.running()) == (Why.FELL_BACK_TO_PREBAKED, digest(PREBAKED))
    spoil(updated, "provisioned", 640 + 40)
    updated.boot()
    assert updated.running() == digest(SECOND_PREBAKED)
    spoil(updated, "provisioned", 640 + (len(PREBAKED) + 7) // 8 * 8 + 40)
    updated.boot()
    told = report(updated, made)
    assert (told.place, told.why, told.running) == (Place.NOWHERE, Why.NOTHING_CAN, None)


def test_a_rotten_slot_can_be_filled_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    spoil(updated, "slot1")
    updated.boot()
    assert deliver(updated, install(bench, made, NEW, 3)).code == 0
    assert updated.running() == digest(NEW)


def test_a_failed_pack_is_never_fallen_back_to(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert deliver(updated, install(bench, made, FAILING, 3)).code == GOLDEN
    spoil(updated, "slot1")
    updated.boot()
    assert updated.running() == digest(PREBAKED)


# ---------------------------------------------------------------- parameters


def test_configure_by_envelope_alone(updated: HostAgent, bench: Bench, made: Made) -> None:
    decision, score = updated.infer(INPUT + bytes(1500 - len(INPUT)))
    assert (decision, score) == (0, score)
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
    assert deliver(updated, Delivery(bench.configure(made, OLD, 3, {0: 0}))).code == -Verdict.MODEL
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {1: 0}))).code == PARAMETER
    assert report(updated, made).sequence == 2
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {0: 2**31 - 1}))).code == 0


# ---------------------------------------------------------------- attacks


def test_replay(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = install(bench, made, OLD, 1)
    assert deliver(updated, first).code == -Verdict.SEQUENCE
    assert deliver(updated, install(bench, made, THIRD, 2)).code == -Verdict.SEQUENCE
    assert Flag.ENVELOPE_REFUSED in report(updated, made).flags
    assert updated.running() == digest(NEW)


def test_wrong_device(updated: HostAgent, bench: Bench) -> None:
    other = bench.device("pump-2")
    assert deliver(updated, install(bench, other, THIRD, 3)).code == -Verdict.DEVICE


def test_wrong_key(updated: HostAgent, bench: Bench, made: Made) -> None:
    envelope = bench.install(made, THIRD, 3, signer=keys.generate())
    assert deliver(updated, Delivery(envelope, THIRD)).code == -Verdict.SIGNER


def test_endless_data(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The payload's length is known before the first block: a longer one is no offer of this envelope."""
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
    make: Callable[..., HostAgent], bench: Bench, made: Made
) -> None:
    agent = make(made.region(PREBAKED, SECOND_PREBAKED), replace(SMALL, slot=0))
    assert deliver(agent, Delivery(bench.install(made, SECOND_PREBAKED, 1))).code == 0
    assert agent.running() == digest(SECOND_PREBAKED)
    assert deliver(agent, Delivery(bench.configure(made, SECOND_PREBAKED, 2, {0: 7}))).code == 0
    assert parameters(agent, made) == {0: 7}
    assert deliver(agent, install(bench, made, make_pack(1, inputs=30), 3)).code == NO_UPDATES


def test_hundreds_of_starts_and_orders_wear_no_hole_into_the_journal(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    for sequence in range(3, 40):
        assert deliver(updated, Delivery(bench.configure(made, NEW, sequence, {0: sequence}))).code == 0
        for _ in range(7):
            boots = report(updated, made).boots
            updated.boot()
            assert report(updated, made).boots == boots + 1
        assert (report(updated, made).sequence, parameters(updated, made)) == (sequence, {0: sequence})


def test_a_journal_of_noise_is_told_and_written_anew(updated: HostAgent, bench: Bench, made: Made) -> None:
    for name in ("journal0", "journal1"):
        region = updated.geometry.regions()[name]
        updated.write_flash(region.offset, bytes(range(256)) * (region.size // 256))
    updated.boot()
    told = report(updated, made)
    assert (told.sequence, told.place) == (0, Place.PREBAKED)
    assert Flag.JOURNAL_REPAIRED in told.flags
    assert deliver(updated, install(bench, made, THIRD, 1)).code == 0
