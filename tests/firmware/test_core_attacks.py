# SPDX-License-Identifier: Apache-2.0
"""An attacker on the link who holds genuine envelopes: what one of them can cost, and what it can't change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from firmware.attack.wear import ATTACKS, bound, erases
from reconciler.devices.messages import Have, Missing, Offer, PayloadOffer, Stage, TransferResult, encode, parse_answer
from reconciler.model import PayloadEncoding, Phase
from signing import envelope
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import Geometry, HostAgent
from tests.firmware.orders import (
    FAILING,
    NEW,
    PREBAKED,
    SMALL,
    THIRD,
    Delivery,
    begin_trial,
    deliver,
    digest,
    install,
    put,
    report,
)

NO_TRANSFER, BUSY, NO_PAYLOAD, GOLDEN = -72, -77, -78, -87
OTHER = make_pack(6, inputs=1400)
SPACIOUS = Geometry(erase=4096, write=8, provisioned=0x1000, journal=0x2000, marks=0x1000, slot=0x10000)


# ---------------------------------------------------------------- wear


@pytest.mark.parametrize("geometry", [SMALL, SPACIOUS], ids=["512/8", "4096/8"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_thousand_replays_erase_no_more_than_one_envelope_may(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made, geometry: Geometry, attack: str
) -> None:
    agent = make_core(made.region(PREBAKED), geometry)
    assert 0 < erases(agent, partial(bench.install, made, sequence=1), attack) <= bound(geometry)
    assert deliver(agent, install(bench, made, NEW, 2)).code == 0
    assert agent.running() == digest(NEW)


def test_replays_alone_erase_nothing(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The marks are erased for the first offer of an envelope. 1,000 more, with other block sizes, cost nothing."""
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    operations = updated.operations
    for turn in range(1000):
        put(updated, replace(delivery, block_bytes=64 + 64 * (turn % 2), name=turn % 24).offer)
    assert updated.operations == operations


def test_garbage_is_staged_once(updated: HostAgent, bench: Bench, made: Made) -> None:
    """After the wrong payload nothing that the envelope can bring writes to flash, in any order."""
    delivery = install(bench, made, THIRD, 3)
    garbage = replace(delivery, payload=bytes(len(THIRD)))
    assert deliver(updated, garbage).code == -VerificationCode.IMAGE
    operations = updated.operations
    for message in (delivery.offer, garbage.block(0), Missing(3), Stage(3), delivery.offer, delivery.block(1)):
        updated.handle(encode(message))
        updated.settle()
    assert updated.operations == operations
    assert (report(updated, made).phase, report(updated, made).error) == (Phase.CONFIRMED, -VerificationCode.IMAGE)
    assert report(updated, made).failed is None, "an attacker could quarantine any pack"


def test_corrected_blocks_are_discarded_once(updated: HostAgent, bench: Bench, made: Made) -> None:
    """An attacker who flips one bit of each frame could have the same blocks repaired without end."""
    delivery = install(bench, made, THIRD, 3)
    garbage = replace(delivery, payload=bytes(len(THIRD)))
    put(updated, delivery.offer)
    for _ in range(2):
        for index in range(delivery.blocks):
            garbage.send(updated, index, corrected=index < 3)
        put(updated, Stage(3))
        updated.settle()
    assert put(updated, Stage(3)) == TransferResult(3, -VerificationCode.IMAGE)


@pytest.mark.parametrize("corrected", [32, 33])
def test_as_many_corrected_blocks_are_sent_again_as_are_remembered(
    updated: HostAgent, bench: Bench, made: Made, corrected: int
) -> None:
    delivery = replace(install(bench, made, THIRD, 3), block_bytes=64)
    garbage = replace(delivery, payload=bytes(len(THIRD)))
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        (garbage if index < corrected else delivery).send(updated, index, corrected=index < corrected)
    put(updated, Stage(3))
    updated.settle()
    answer = put(updated, Stage(3))
    if corrected == 32:
        assert isinstance(answer, Have)
        assert delivery.missing(answer) == list(range(32))
        assert deliver(updated, delivery).code == 0
    else:
        assert answer == TransferResult(3, -VerificationCode.IMAGE)


def test_corrected_blocks_of_another_transfer_are_forgotten(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = install(bench, made, THIRD, 3)
    put(updated, first.offer)
    first.send(updated, 0, corrected=True)
    second = replace(install(bench, made, OTHER, 4), payload=bytes(len(OTHER)))
    outcome = deliver(updated, second)
    assert (outcome.code, outcome.blocks_sent) == (-VerificationCode.IMAGE, second.blocks)


def test_each_transfer_may_have_its_corrected_blocks_again(updated: HostAgent, bench: Bench, made: Made) -> None:
    for sequence, pack in ((3, THIRD), (4, OTHER)):
        delivery = install(bench, made, pack, sequence)
        garbage = replace(delivery, payload=bytes(len(pack)))
        put(updated, delivery.offer)
        for index in range(delivery.blocks):
            garbage.send(updated, index, corrected=index == 0)
        put(updated, Stage(3))
        updated.settle()
        assert isinstance(put(updated, Stage(3)), Have)


def test_another_offer_ends_the_check_of_the_open_payload(updated: HostAgent, bench: Bench, made: Made) -> None:
    first, second = install(bench, made, THIRD, 3), install(bench, made, OTHER, 4)
    put(updated, first.offer)
    for index in range(first.blocks):
        first.send(updated, index)
    assert put(updated, Stage(3)) == TransferResult(3, 1)
    assert put(updated, second.offer) == Have(3, 0, b"")
    updated.settle()
    second.send(updated, 0)
    assert parse_answer(updated.handle(encode(Missing(3)))) == Have(3, 1, b"")


# ---------------------------------------------------------------- the shape of a payload


@pytest.mark.parametrize(
    "shape",
    [
        PayloadOffer(PayloadEncoding.RAW, len(THIRD), 256),
        PayloadOffer(PayloadEncoding.RAW, len(THIRD) + 128, 128),
        PayloadOffer(PayloadEncoding.RAW, 2**32 - 1, 1024),
        PayloadOffer(PayloadEncoding.HEATSHRINK, len(THIRD), 128),
    ],
    ids=["block size", "length", "endless", "encoding"],
)
def test_the_first_offer_of_an_envelope_decides_the_payload(
    updated: HostAgent, bench: Bench, made: Made, shape: PayloadOffer
) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    delivery.send(updated, 0)
    assert put(updated, Offer(3, delivery.envelope, shape)) == TransferResult(3, NO_TRANSFER)
    assert put(updated, Offer(3, delivery.envelope, None)) == TransferResult(3, NO_PAYLOAD)
    assert parse_answer(updated.handle(encode(Missing(3)))) == Have(3, 1, b"")
    assert deliver(updated, delivery).blocks_sent == delivery.blocks - 1


ENCODED = replace(Delivery(b""), payload=THIRD[:1600], encoding=PayloadEncoding.PATCH)


@pytest.mark.parametrize(
    "other",
    [
        replace(ENCODED, block_bytes=256),
        replace(ENCODED, payload=THIRD[:1584]),
        replace(ENCODED, encoding=PayloadEncoding.HEATSHRINK),
    ],
    ids=["block size", "length", "encoding"],
)
def test_a_newer_envelope_with_another_payload_starts_without_blocks(
    updated: HostAgent, bench: Bench, made: Made, other: Delivery
) -> None:
    """Blocks are kept only for the same payload: in another one they would be other bytes."""
    first = replace(ENCODED, envelope=bench.install(made, THIRD, 3))
    put(updated, first.offer)
    first.send(updated, 0)
    assert put(updated, replace(ENCODED, envelope=bench.install(made, THIRD, 4)).offer) == Have(3, 1, b"")
    assert put(updated, replace(other, envelope=bench.install(made, THIRD, 5)).offer) == Have(3, 0, b"")


def test_a_newer_envelope_with_another_size_starts_without_blocks(updated: HostAgent, bench: Bench, made: Made) -> None:
    """Room was found for the size in the first envelope."""
    first = replace(ENCODED, envelope=bench.install(made, THIRD, 3))
    put(updated, first.offer)
    first.send(updated, 0)
    order = envelope.InstallOrder(4, digest(THIRD), len(THIRD) + 512)
    second = replace(ENCODED, envelope=envelope.make(bench.gateway, made.target, order))
    assert put(updated, second.offer) == Have(3, 0, b"")


def test_an_offer_waits_for_the_restart_after_a_failed_trial(updated: HostAgent, bench: Bench, made: Made) -> None:
    """The failed pack still runs from its slot: the other slot has the confirmed model, and is not free."""
    begin_trial(updated, install(bench, made, FAILING, 3))
    updated.poll()
    assert report(updated, made).error == GOLDEN
    assert updated.running() == digest(FAILING)
    assert put(updated, install(bench, made, THIRD, 4).offer) == TransferResult(3, BUSY)
    updated.settle()
    assert updated.running() == digest(NEW)
    assert deliver(updated, install(bench, made, THIRD, 4)).code == 0
