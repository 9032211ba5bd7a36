# SPDX-License-Identifier: Apache-2.0
"""Rotation: the root in force names the root that follows it (docs/specs/rotation.md, whose steps are N1 to N6)."""

from __future__ import annotations

from dataclasses import dataclass

from signing import cose
from signing.cbor import CborReader, encode
from signing.cose import SigningKey
from signing.delegation import CNF, UINT32_MAX, Delegation, open_signed, read_confirmed_key, read_delegation
from signing.identifiers import key_id
from signing.verification_error import VerificationCode, require

NUMBER = -65539
NUMBER_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Rotation:
    """The root that follows, and how many rotations lead to it from the provisioned one."""

    next_root: bytes
    number: int

    @property
    def key_id(self) -> bytes:
        """The id of the new root key."""
        return key_id(self.next_root)


def rotate(root: SigningKey, rotation: Rotation) -> bytes:
    """Sign a rotation with the root in force. The result is public; any gateway may deliver it."""
    if not 1 <= rotation.number <= NUMBER_MAX:
        raise ValueError(f"the number of a rotation must be between 1 and {NUMBER_MAX}, not {rotation.number}")
    if rotation.next_root == root.public_key:
        raise ValueError("a root can't follow itself")
    key = {1: 1, -1: 6, -2: rotation.next_root}
    return cose.sign1(root, encode({CNF: {1: key}, NUMBER: rotation.number}))


def read_rotation(data: bytes, root_key: bytes) -> Rotation:
    """Verify a rotation, then read it: steps N1 to N4."""
    return _read_next_root(open_signed(data, root_key))


def describe_rotation(data: bytes) -> tuple[bytes, Rotation]:
    """Read a rotation without verifying it: the id of the root that signed it, and what it says."""
    message = cose.read(CborReader(data), cose.SIGN1_TAG)
    return message.key_id, _read_next_root(message.payload)


@dataclass(frozen=True, slots=True)
class RootState:
    """What a device knows when a rotation arrives."""

    root_key: bytes  # in force
    vendor: bytes
    number: int = 0  # of the last accepted rotation


def verify_rotation(data: bytes, cwt: bytes, state: RootState) -> tuple[Rotation, Delegation | None]:
    """Accept a rotation as the device would, or raise VerificationError with the device's code. cwt: may be empty."""
    rotation = read_rotation(data, state.root_key)  # N1 to N4
    require(
        state.number < rotation.number <= NUMBER_MAX,
        VerificationCode.SEQUENCE,
        f"rotation {rotation.number}, already accepted {state.number}",
    )  # N5
    if not cwt:
        return rotation, None
    delegation = read_delegation(cwt, rotation.next_root)  # N6
    require(delegation.vendor == state.vendor, VerificationCode.FLEET, "the delegation is for another fleet")
    return rotation, delegation


def _read_next_root(payload: bytes) -> Rotation:
    reader = CborReader(payload)
    reader.map(2)
    next_root = read_confirmed_key(reader)
    reader.constants(NUMBER)
    number = reader.uint(UINT32_MAX, minimum=1)
    reader.end()
    return Rotation(next_root, number)
