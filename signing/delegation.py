# SPDX-License-Identifier: Apache-2.0
"""Delegation: a CWT in which the root allows a gateway's key to sign for one fleet (docs/specs/envelope.md)."""

from __future__ import annotations

from dataclasses import dataclass

from signing import cose
from signing.cbor import MAP, CborReader, encode
from signing.cose import SigningKey
from signing.identifiers import UUID_BYTES, key_id
from signing.verification_error import VerificationCode, require

EXP, CNF, VENDOR, EPOCH = 4, 8, -65537, -65538
UINT32_MAX = 2**32 - 1
CLAIMS, CLAIMS_WITH_EXP = 3, 4


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the root grants to a gateway."""

    gateway_key: bytes
    vendor: bytes
    epoch: int
    not_after: int | None = None  # seconds since 1970

    @property
    def key_id(self) -> bytes:
        """The id of the delegated key."""
        return key_id(self.gateway_key)


def delegate(root: SigningKey, grant: Delegation) -> bytes:
    """Sign a grant. The result is public; it travels in envelopes."""
    if not 1 <= grant.epoch <= UINT32_MAX:
        raise ValueError(f"epoch {grant.epoch} must be between 1 and {UINT32_MAX}")
    if grant.not_after is not None and not 1 <= grant.not_after <= UINT32_MAX:
        raise ValueError(f"not-after {grant.not_after} must be between 1 and {UINT32_MAX}")
    claims = {} if grant.not_after is None else {EXP: grant.not_after}
    key = {1: 1, -1: 6, -2: grant.gateway_key}
    return cose.sign1(root, encode({**claims, CNF: {1: key}, VENDOR: grant.vendor, EPOCH: grant.epoch}))


def open_signed(data: bytes, root_key: bytes) -> bytes:
    """Return the payload of what a root has signed: steps V5 to V7."""
    message = cose.read(CborReader(data), cose.SIGN1_TAG)
    require(
        message.key_id == key_id(root_key),
        VerificationCode.ROOT,
        f"another root: {message.key_id.hex()}",
    )
    require(
        cose.is_signed_by(root_key, message, message.payload),
        VerificationCode.DELEGATION_SIGNATURE,
        "not signed by the root",
    )
    return message.payload


def read_delegation(cwt: bytes, root_key: bytes) -> Delegation:
    """Verify a delegation, then read its claims: steps V5 to V8."""
    return read_claims(open_signed(cwt, root_key))


def read_confirmed_key(reader: CborReader) -> bytes:
    """Read the claim with the public key that the root vouches for."""
    reader.constants(CNF)
    reader.map(1)
    reader.constants(1)
    reader.map(3)
    reader.constants(1, 1, -1, 6, -2)
    return reader.byte_string(cose.PUBLIC_KEY_BYTES)


def read_claims(payload: bytes) -> Delegation:
    """Read the claims of a delegation whose signature is already verified."""
    reader = CborReader(payload)
    not_after = None
    if reader.count_of(MAP, (CLAIMS, CLAIMS_WITH_EXP)) == CLAIMS_WITH_EXP:
        reader.constants(EXP)
        not_after = reader.uint(UINT32_MAX, minimum=1)
    gateway_key = read_confirmed_key(reader)
    reader.constants(VENDOR)
    vendor = reader.byte_string(UUID_BYTES)
    reader.constants(EPOCH)
    epoch = reader.uint(UINT32_MAX, minimum=1)
    reader.end()
    return Delegation(gateway_key, vendor, epoch, not_after)
