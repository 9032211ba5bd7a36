# SPDX-License-Identifier: Apache-2.0
"""Rotation of the root key: docs/specs/rotation.md, whose steps the comments name."""

from tinyfleet import errors
from tinyfleet.cbor import MAP, NINT, Reader
from tinyfleet.device import Device
from tinyfleet.envelope import Delegation, open_signed, read_delegation, read_key
from tinyfleet.errors import Refused

ROTATION_MAX, DELEGATION_MAX = 160, 176
_NUMBER_MAX = 65535


def verify(rotation: bytes, cwt: bytes, root: bytes, vendor: bytes, last: int) -> "tuple[bytes, int, Delegation]":
    """Return the new root, the number of the rotation, and the delegation; raise Refused with the step that fails."""
    reader = open_signed(Reader(rotation), root)  # N1 ... N3
    reader.expect(MAP, 2)
    key = read_key(reader)
    reader.expect(NINT, 65538)
    number = reader.positive()
    reader.end()  # N4
    if not last < number <= _NUMBER_MAX:
        raise Refused(errors.SEQUENCE)  # N5
    delegation = Delegation(b"", 0, 0)
    if cwt:
        delegation = read_delegation(Reader(cwt), key, vendor)  # N6
    return key, number, delegation


def accept(device: Device, rotation: bytes, cwt: bytes) -> int:
    """Follow another root; save it together with its delegation."""
    identity, state = device.identity, device.state
    key, number, delegation = verify(rotation, cwt, identity["root"], identity["vendor"], state.rotation)
    state.root, state.rotation = key, number
    state.gateway, state.epoch, state.exp = delegation.key, delegation.epoch, delegation.exp
    identity["root"] = key
    device.save()
    return errors.OK
