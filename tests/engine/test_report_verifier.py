# SPDX-License-Identifier: Apache-2.0
"""A report counts only if the device's key from Git signed it for this question."""

from __future__ import annotations

import pytest

from reconciler.devices.reports import encode_body
from reconciler.engine.observed.report_verifier import NotAuthentic, ReportVerifier
from reconciler.model import Device, DeviceId, MqttAddress, TypeId
from signing.identifiers import device_id, vendor_id
from signing.keys import generate
from signing.report import sign_report
from tests.engine.reports import PUMP, report

KEY = "aa" * 32


def device(name: DeviceId, public_key: str | None) -> Device:
    return Device(name, TypeId("board"), MqttAddress(), public_key=public_key)


def test_a_device_without_a_public_key_is_refused() -> None:
    verifier = ReportVerifier()
    verifier.set_devices("plant", {PUMP: device(PUMP, None)})
    assert verifier.public_keys == {}
    with pytest.raises(NotAuthentic, match="pump-1 has no public key in Git"):
        verifier.open_signed(PUMP, b"", b"")


def test_an_unsigned_body_is_refused() -> None:
    verifier = ReportVerifier()
    verifier.set_devices("plant", {PUMP: device(PUMP, KEY)})
    assert verifier.public_keys == {PUMP: KEY}
    with pytest.raises(NotAuthentic, match="pump-1: "):
        verifier.open_signed(PUMP, encode_body(report(1)), b"")


def test_a_device_is_another_one_in_another_fleet() -> None:
    key, verifier, body = generate(), ReportVerifier(), encode_body(report(1))
    signed = {fleet: sign_report(key, device_id(vendor_id(fleet), PUMP), b"", body) for fleet in ("plant", "mill")}
    for fleet, other in (("plant", "mill"), ("mill", "plant")):
        verifier.set_devices(fleet, {PUMP: device(PUMP, key.public_key.hex())})
        assert verifier.open_signed(PUMP, signed[fleet], b"") == body
        with pytest.raises(NotAuthentic):
            verifier.open_signed(PUMP, signed[other], b"")
