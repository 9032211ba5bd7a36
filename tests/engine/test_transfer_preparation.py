# SPDX-License-Identifier: Apache-2.0
"""What a device is sent: the sequence of an order, and the payloads that the device has room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.devices.reports import CapabilitiesBody
from reconciler.engine.delivery.transfer_preparation import SECTOR_BYTES, SEQUENCE_JUMP, DeliveryTarget, fitting
from reconciler.model import PayloadEncoding
from tests.engine.reports import PUMP, report


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
