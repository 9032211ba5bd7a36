# SPDX-License-Identifier: Apache-2.0
"""Whether a report comes from its device: the public key is from Git, the identifier from the device's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import signing.report
from reconciler.errors import Refused
from reconciler.model import Device, DeviceId
from signing.identifiers import device_id, vendor_id
from signing.verification_error import VerificationError


class NotAuthentic(Refused):
    """A report that its device did not sign, or that answers another question."""

    reason: ClassVar[str] = "NotAuthentic"


class ReportVerifier:
    """Verifies what devices signed."""

    def __init__(self) -> None:
        self._vendor = b""
        self._keys: dict[DeviceId, bytes] = {}
        self._ids: dict[DeviceId, bytes] = {}  # device identifiers, each derived once

    @property
    def public_keys(self) -> Mapping[DeviceId, str]:
        """Return the public keys from Git, in hex."""
        return {name: key.hex() for name, key in self._keys.items()}

    def set_devices(self, fleet: str, devices: Mapping[DeviceId, Device]) -> None:
        """Take the public keys from Git; the reports of a device without one are refused."""
        vendor = vendor_id(fleet)
        if vendor != self._vendor:
            self._vendor = vendor
            self._ids.clear()
        self._keys = {name: bytes.fromhex(device.public_key) for name, device in devices.items() if device.public_key}

    def open_signed(self, device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
        """Return the body of what a device signed, or refuse it."""
        key = self._keys.get(device)
        if key is None:
            raise NotAuthentic(f"{device} has no public key in Git: provision it first")
        try:
            return signing.report.verify_signed(cose, key, self._id_of(device), nonce)
        except VerificationError as refused:
            raise NotAuthentic(f"{device}: {refused}") from refused

    def _id_of(self, device: DeviceId) -> bytes:
        known = self._ids.get(device)
        if known is None:
            known = self._ids[device] = device_id(self._vendor, device)
        return known
