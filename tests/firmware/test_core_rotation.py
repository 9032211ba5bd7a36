# SPDX-License-Identifier: Apache-2.0
"""Rotation of the root on the real core: what changes, what does not, and that power can be cut at any time."""

from __future__ import annotations

import itertools
from contextlib import suppress
from copy import copy
from dataclasses import replace

import pytest

from reconciler.devices.messages import Have, RotateRoot, TransferResult, encode
from reconciler.model import Phase
from signing import cose, envelope
from signing.cose import SigningKey
from signing.delegation import Delegation, delegate, open_signed
from signing.identifiers import key_id
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made
from tests.firmware.host import Cut, HostAgent, PowerCutError
from tests.firmware.orders import NEW, OLD, THIRD, Delivery, Outcome, deliver, digest, install, put, report
from tests.firmware.rotations import turned

NO_GATEWAY = bytes(8)


def send(agent: HostAgent, order: RotateRoot) -> int:
    answer = put(agent, order)
    assert isinstance(answer, TransferResult)
    assert answer.transfer is None
    return answer.code


def without_delegation(bench: Bench, made: Made) -> Delivery:
    order = envelope.InstallOrder(3, digest(OLD), len(OLD))
    return Delivery(envelope.make(bench.gateway, made.target, order))


def test_a_device_follows_the_new_root_and_obeys_its_gateway(updated: HostAgent, bench: Bench, made: Made) -> None:
    before = report(updated, made)
    assert before.root == key_id(bench.root.public_key)
    turn = turned(bench)
    assert send(updated, turn.order) == 0
    after = report(updated, made)
    assert (after.root, after.gateway, after.epoch) == (
        key_id(turn.bench.root.public_key),
        key_id(turn.bench.gateway.public_key),
        1,
    )
    assert (after.sequence, after.running, after.phase) == (before.sequence, before.running, Phase.CONFIRMED)
    updated.boot()
    assert report(updated, made).root == key_id(turn.bench.root.public_key)
    assert updated.running() == digest(NEW)
    assert deliver(updated, install(turn.bench, made, THIRD, 3)).code == 0


def test_the_old_root_and_its_gateway_have_no_say_any_more(updated: HostAgent, bench: Bench, made: Made) -> None:
    turn = turned(bench)
    assert send(updated, turn.order) == 0
    for _ in range(2):
        assert deliver(updated, install(bench, made, OLD, 3)).code == -VerificationCode.ROOT
        assert deliver(updated, without_delegation(bench, made)).code == -VerificationCode.SIGNER
        assert send(updated, turned(bench, number=9).order) == -VerificationCode.ROOT
        updated.boot()
    assert report(updated, made).root == key_id(turn.bench.root.public_key)


def test_a_rotation_without_a_delegation_leaves_the_device_without_a_gateway(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    turn = turned(bench)
    assert send(updated, replace(turn.order, delegation=b"")) == 0
    after = report(updated, made)
    assert (after.gateway, after.epoch) == (NO_GATEWAY, 0)
    assert deliver(updated, without_delegation(turn.bench, made)).code == -VerificationCode.NO_DELEGATION
    assert deliver(updated, install(turn.bench, made, OLD, 3)).code == 0


def test_three_roots_follow_each_other_and_none_returns(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = turned(bench, number=1)
    second = turned(first.bench, number=2)
    back = turned(second.bench, number=3, successor=bench.root)
    for turn in (first, second, back):
        assert send(updated, turn.order) == 0
    assert report(updated, made).root == key_id(bench.root.public_key)
    # The same root as at first, but its earlier rotation does not count any more.
    assert send(updated, first.order) == -VerificationCode.SEQUENCE
    updated.boot()
    assert send(updated, first.order) == -VerificationCode.SEQUENCE
    assert send(updated, turned(bench, number=4).order) == 0


def test_the_epoch_that_a_thief_of_the_old_root_raised_does_not_count(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    thief = copy(bench)
    thief.delegation = delegate(bench.root, Delegation(bench.gateway.public_key, bench.vendor, epoch=2**32 - 1))
    assert deliver(updated, install(thief, made, OLD, 3)).code == 0
    assert report(updated, made).epoch == 2**32 - 1
    turn = turned(bench)
    assert send(updated, turn.order) == 0
    assert deliver(updated, install(turn.bench, made, NEW, 4)).code == 0
    assert report(updated, made).epoch == 1


def test_a_repeated_or_refused_rotation_writes_nothing(updated: HostAgent, bench: Bench, made: Made) -> None:
    turn, thief = turned(bench), turned(Bench(bench.fleet))
    assert send(updated, turn.order) == 0
    written = updated.operations
    for _ in range(50):
        assert send(updated, turn.order) == -VerificationCode.ROOT
        assert send(updated, thief.order) == -VerificationCode.ROOT
        foreign = replace(turned(turn.bench, number=2).order, delegation=thief.order.delegation)
        assert send(updated, foreign) == -VerificationCode.ROOT
    assert updated.operations == written
    assert report(updated, made).root == key_id(turn.bench.root.public_key)


def with_claims(root: SigningKey, signed: bytes, claims: int) -> bytes:
    """Sign what a root has signed again, with another number of claims in its head."""
    payload = bytearray(open_signed(signed, root.public_key))
    payload[0] = 0xA0 + claims
    return cose.sign1(root, bytes(payload))


@pytest.mark.parametrize("claims", [1, 2, 5])
def test_a_delegation_with_another_number_of_claims_is_refused(
    updated: HostAgent, bench: Bench, made: Made, claims: int
) -> None:
    other = copy(bench)
    other.delegation = with_claims(bench.root, bench.delegation, claims)
    assert deliver(updated, install(other, made, OLD, 3)).code < 0
    assert deliver(updated, install(bench, made, OLD, 3)).code == 0


@pytest.mark.parametrize("claims", [1, 3, 4])
def test_a_rotation_with_another_number_of_claims_is_refused(
    updated: HostAgent, bench: Bench, made: Made, claims: int
) -> None:
    turn = turned(bench)
    wrong = replace(turn.order, rotation=with_claims(bench.root, turn.order.rotation, claims))
    assert send(updated, wrong) < 0
    assert report(updated, made).root == key_id(bench.root.public_key)
    assert send(updated, turn.order) == 0


def test_numbers_of_rotations_rise_up_to_the_last_one(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = turned(bench, number=7)
    assert send(updated, first.order) == 0
    last = turned(first.bench, number=2**16 - 1).order
    payload = open_signed(last.rotation, first.bench.root.public_key)
    assert payload.endswith(b"\x19\xff\xff")
    beyond = cose.sign1(first.bench.root, payload[:-3] + b"\x1a\x00\x01\x00\x00")
    for order in (
        turned(first.bench, number=6).order,
        turned(first.bench, number=7).order,
        replace(last, rotation=beyond),
    ):
        assert send(updated, order) == -VerificationCode.SEQUENCE
    assert report(updated, made).root == key_id(first.bench.root.public_key)
    assert send(updated, last) == 0


def test_a_rotation_is_a_message_of_exactly_three_items(updated: HostAgent, bench: Bench, made: Made) -> None:
    message = encode(turned(bench).order)
    assert message[0] == 0x83
    for wrong in (message + b"\x00", b"\x82" + message[1:], b"\x84" + message[1:], message[:-1]):
        assert updated.handle(wrong) == b""
    assert report(updated, made).root == key_id(bench.root.public_key)


def test_a_transfer_continues_under_the_new_root(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    assert isinstance(put(updated, delivery.offer), Have)
    for index in range(delivery.blocks // 2):
        delivery.send(updated, index)
    assert send(updated, turned(bench).order) == 0
    assert report(updated, made).phase is Phase.RECEIVING
    assert deliver(updated, delivery) == Outcome(0, delivery.blocks - delivery.blocks // 2)
    assert updated.running() == digest(THIRD)


@pytest.mark.parametrize("starts", range(0, 120, 8))
def test_every_power_cut_leaves_the_old_root_or_the_new_one(
    updated: HostAgent, bench: Bench, made: Made, starts: int
) -> None:
    """At each fill level of the journal: the record goes to the rest of a sector, or to the other, erased one."""
    for _ in range(starts):
        updated.boot()
    gone = 0
    for number, (cut, seed) in itertools.product(
        (1, 2), ((Cut.BEFORE, 1), (Cut.TORN, 1), (Cut.TORN, 2), (Cut.AFTER, 1))
    ):
        turn = turned(bench, number=gone + 1)
        old, new = (key_id(each.root.public_key) for each in (bench, turn.bench))
        updated.cut_after(number, cut, seed)
        code = None
        with suppress(PowerCutError):
            code = send(updated, turn.order)
        updated.cut_after(0, cut)
        updated.boot()
        found = report(updated, made)
        assert (found.root, found.gateway) in {
            (old, key_id(bench.gateway.public_key)),
            (new, key_id(turn.bench.gateway.public_key)),
        }
        assert code is None or found.root == new
        assert found.running == digest(NEW)[:16]
        if found.root == old:
            assert send(updated, turn.order) == 0
        gone, bench = gone + 1, turn.bench
    assert deliver(updated, install(bench, made, THIRD, 3)).code == 0
