# SPDX-License-Identifier: Apache-2.0
"""What a device is sent: the sequence of an order, and the payloads that the device has room for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, OpenTransfer
from reconciler.engine.delivery.transfer_preparation import (
    SECTOR_BYTES,
    SEQUENCE_JUMP,
    DeliveryTarget,
    PackPayloads,
    fitting,
    install_job,
)
from reconciler.engine.state.records import OrderRecord
from reconciler.model import Digest, PayloadEncoding, Phase
from signing.delegation import read_delegation
from signing.gateway_keystore import GatewayKey
from tests.engine.reports import PUMP, report
from tests.firmware.bench import Bench


def capabilities(slot_bytes: int = 65536) -> CapabilitiesBody:
    return CapabilitiesBody("t", bytes(16), 1, b"", slot_bytes, 0, 1024, 0, updates=True, prebaked=(), firmware="f")


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_a_sequence_is_above_all_that_were_obeyed_and_within_the_accepted_jump(held: int, highest: int) -> None:
    target = DeliveryTarget("plant", PUMP, report(1, sequence=held), capabilities(), highest)
    assert held < target.next_sequence <= held + SEQUENCE_JUMP
    assert target.next_sequence > highest or target.next_sequence == held + SEQUENCE_JUMP


@given(st.integers(1, 20 * SECTOR_BYTES), st.integers(0, 8 * SECTOR_BYTES), st.integers(1, 24))
def test_an_encoded_payload_fits_next_to_its_pack_in_whole_sectors(pack: int, encoded: int, sectors: int) -> None:
    slot = sectors * SECTOR_BYTES
    payloads = (EncodedPayload(PayloadEncoding.PATCH, bytes(encoded)), EncodedPayload(PayloadEncoding.RAW, bytes(8)))
    found = fitting(payloads, pack, DeliveryTarget("plant", PUMP, report(1), capabilities(slot)))
    rounded = -(-pack // SECTOR_BYTES) - (-encoded // SECTOR_BYTES)
    assert (payloads[0] in found) == (rounded <= sectors)
    assert payloads[1] in found


BENCH = Bench("plant")
GATEWAY = GatewayKey(BENCH.gateway, BENCH.delegation, read_delegation(BENCH.delegation, BENCH.root.public_key))
PAYLOADS = (EncodedPayload(PayloadEncoding.PATCH, bytes(50)), EncodedPayload(PayloadEncoding.RAW, bytes(400)))
PACK = PackPayloads(Digest(hashlib.sha256(bytes(400)).hexdigest()), 400, PAYLOADS)
BEFORE = OrderRecord(PACK.digest, 7, b"the envelope that was sent")
OPEN = OpenTransfer(bytes.fromhex(PACK.digest)[:16], PayloadEncoding.RAW, 400, 96, 2)
INTERRUPTED = replace(report(9, sequence=7), phase=Phase.RECEIVING, transfer=OPEN)


def target(found: DeviceReport) -> DeliveryTarget:
    return DeliveryTarget("plant", PUMP, found, capabilities())


def test_a_device_is_given_the_time_that_it_told() -> None:
    slow = replace(target(report(9)), capabilities=replace(capabilities(), answer_ms=6_500, block_ms=20))
    job, _ = install_job(GATEWAY, slow, PACK, 256, None)
    assert (job.answer_s, job.block_gap_s) == (6.5, 0.02)
    assert install_job(GATEWAY, target(report(9)), PACK, 256, None)[0].answer_s == 2.0


def test_an_interrupted_order_is_sent_again_byte_for_byte_in_the_blocks_that_it_has() -> None:
    job, order = install_job(GATEWAY, target(INTERRUPTED), PACK, 256, BEFORE)
    assert order is BEFORE
    assert (job.envelope, job.sequence, job.counter) == (BEFORE.envelope, 7, 9)
    assert (job.payload, job.encoding, job.block_bytes) == (bytes(400), PayloadEncoding.RAW, 96)


@pytest.mark.parametrize(
    ("found", "before"),
    [
        (INTERRUPTED, None),
        (report(9, sequence=7), BEFORE),
        (INTERRUPTED, replace(BEFORE, sequence=6)),
        (INTERRUPTED, replace(BEFORE, digest=Digest("ab" * 32))),
        (replace(INTERRUPTED, transfer=replace(OPEN, digest16=bytes(16))), BEFORE),
        (replace(INTERRUPTED, transfer=replace(OPEN, payload_bytes=399)), BEFORE),
        (replace(INTERRUPTED, transfer=replace(OPEN, encoding=PayloadEncoding.PATCH)), BEFORE),
    ],
    ids=["unknown order", "nothing open", "another sequence", "another pack", "another is open", "size", "encoding"],
)
def test_another_order_gets_a_sequence_of_its_own(found: DeviceReport, before: OrderRecord | None) -> None:
    job, order = install_job(GATEWAY, target(found), PACK, 256, before)
    assert (order.sequence, job.sequence) == (8, 8)
    assert (job.payload, job.encoding, job.block_bytes) == (bytes(50), PayloadEncoding.PATCH, 256)
    assert job.envelope == order.envelope != BEFORE.envelope


def test_a_pack_that_the_device_holds_needs_no_payload() -> None:
    job, _ = install_job(GATEWAY, target(report(9)), PackPayloads(PACK.digest, 400), 256, None)
    assert (job.payload, job.encoding) == (b"", PayloadEncoding.RAW)


def test_the_delegation_goes_with_an_order_only_if_the_device_does_not_hold_it() -> None:
    held = replace(report(9), gateway=GATEWAY.delegation.key_id, epoch=GATEWAY.delegation.epoch)
    for found, sent in ((held, False), (replace(held, epoch=9), True), (replace(held, gateway=bytes(8)), True)):
        job, _ = install_job(GATEWAY, target(found), PACK, 256, None)
        assert (GATEWAY.cwt in job.envelope) is sent
