# SPDX-License-Identifier: Apache-2.0
"""What a device is sent: the sequence, the forms that fit it, and whether a delivery is still wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compiler.payload.codec import EncodedPayload, PayloadEncoding
from reconciler.devices.reports import CapabilitiesBody
from reconciler.engine.delivery.deliveries import Purpose
from reconciler.engine.delivery.dispatch import still_wanted
from reconciler.engine.delivery.orders import SECTOR_BYTES, SEQUENCE_JUMP, DeliveryTarget, fitting
from reconciler.model import Action, ActivatePrebaked, Blocked, BlockedReason, Configure, DeviceId, Hold, HoldReason, Install, NoChange, Origin
from tests.engine.test_drift import report
from tests.plan.fleets import EVERYWHERE, V1, V2, device, fleet

PUMP = DeviceId("pump-1")
DESIRED = fleet([device(1)])
WANTED = {"threshold": 0.5}  # the model's own
INSTALL = Install(PUMP, EVERYWHERE.name, V2, Origin.ARTIFACT, WANTED, "is to be transferred")
UNDER_WAY = Purpose(EVERYWHERE.name, V2, WANTED)
ROLLED_BACK = Purpose(EVERYWHERE.name, V1, WANTED)


def told(slot_bytes: int = 65536) -> CapabilitiesBody:
    return CapabilitiesBody("t", bytes(16), 1, b"", slot_bytes, 0, 1024, 0, updates=True, prebaked=(), firmware="f")


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_a_sequence_is_above_all_that_was_obeyed_and_a_step_that_is_taken(held: int, highest: int) -> None:
    to = DeliveryTarget("plant", PUMP, report(1, sequence=held), told(), highest)
    assert held < to.next_sequence <= held + SEQUENCE_JUMP
    assert to.next_sequence > highest or to.next_sequence == held + SEQUENCE_JUMP


@given(st.integers(1, 20 * SECTOR_BYTES), st.integers(0, 8 * SECTOR_BYTES), st.integers(1, 24))
def test_an_encoded_form_fits_beside_its_pack_in_whole_sectors(pack: int, encoded: int, sectors: int) -> None:
    slot = sectors * SECTOR_BYTES
    forms = (EncodedPayload(PayloadEncoding.PATCH, bytes(encoded)), EncodedPayload(PayloadEncoding.RAW, bytes(8)))
    found = fitting(forms, pack, DeliveryTarget("plant", PUMP, report(1), told(slot)))
    rounded = -(-pack // SECTOR_BYTES) - (-encoded // SECTOR_BYTES)
    assert (forms[0] in found) == (rounded <= sectors)
    assert forms[1] in found


@pytest.mark.parametrize(
    ("purpose", "action", "wanted"),
    [
        (UNDER_WAY, INSTALL, True),
        (UNDER_WAY, Install(PUMP, EVERYWHERE.name, V2, Origin.OTHER_SLOT, WANTED, "is still there"), True),
        (UNDER_WAY, Install(PUMP, EVERYWHERE.name, V1, Origin.ARTIFACT, WANTED, "another"), False),
        (UNDER_WAY, Install(PUMP, EVERYWHERE.name, V2, Origin.ARTIFACT, {}, "other parameters"), False),
        (UNDER_WAY, ActivatePrebaked(PUMP, EVERYWHERE.name, V1, WANTED, "falls back"), False),
        (UNDER_WAY, Hold(PUMP, EVERYWHERE.name, HoldReason.WINDOW, "the window is closed"), False),
        (UNDER_WAY, Hold(PUMP, EVERYWHERE.name, HoldReason.SUSPENDED, "suspended"), False),
        (UNDER_WAY, Hold(PUMP, EVERYWHERE.name, HoldReason.IN_PROGRESS, "it is on trial"), True),
        (UNDER_WAY, NoChange(PUMP, "it has arrived"), True),
        (UNDER_WAY, Configure(PUMP, EVERYWHERE.name, WANTED, "it has arrived, without its parameters"), True),
        (UNDER_WAY, Blocked(PUMP, EVERYWHERE.name, BlockedReason.SILENT, "silent"), True),
        (UNDER_WAY, Blocked(PUMP, EVERYWHERE.name, BlockedReason.WRONG_TYPE, "another type"), False),
        (UNDER_WAY, Blocked(PUMP, EVERYWHERE.name, BlockedReason.CLONED, "two of them"), False),
        (ROLLED_BACK, NoChange(PUMP, "Git went back to what it runs"), False),
        (ROLLED_BACK, Hold(PUMP, EVERYWHERE.name, HoldReason.IN_PROGRESS, "another is tried"), False),
        (Purpose(EVERYWHERE.name, None, WANTED), NoChange(PUMP, "set"), True),
        (Purpose(EVERYWHERE.name, None, {}), NoChange(PUMP, "Git went back"), False),
    ],
)
def test_a_delivery_goes_on_as_long_as_just_that_is_wanted(purpose: Purpose, action: Action, wanted: bool) -> None:  # noqa: FBT001 - a column of the table
    assert still_wanted(purpose, action, DESIRED) is wanted
