# SPDX-License-Identifier: Apache-2.0
"""A gateway's request for delegation: its public key and its fleet, signed with the private half.

The signature proves that the one who asks holds the key. It travels by any means; what the root's
keeper compares with the gateway's keeper, over another channel, is the key id.
"""

from __future__ import annotations

from dataclasses import dataclass

from signing import cose
from signing.cbor import CborReader, encode
from signing.cose import SigningKey
from signing.identifiers import UUID_BYTES, key_id
from signing.verification_error import VerificationCode, require

CONTEXT = b"tinyfleet/request/1"


@dataclass(frozen=True, slots=True)
class DelegationRequest:
    """Who asks, and for which fleet."""

    vendor: bytes
    public_key: bytes


def make_request(gateway: SigningKey, vendor: bytes) -> bytes:
    """Ask for a delegation."""
    return cose.sign1(gateway, encode([vendor, gateway.public_key]), external=CONTEXT)


def read_request(data: bytes) -> DelegationRequest:
    """Read a request and check that whoever made it holds the key."""
    sealed = cose.read(CborReader(data), cose.SIGN1_TAG)
    reader = CborReader(sealed.payload)
    reader.array(2)
    request = DelegationRequest(reader.byte_string(UUID_BYTES), reader.byte_string(cose.PUBLIC_KEY_BYTES))
    reader.end()
    require(
        sealed.key_id == key_id(request.public_key), VerificationCode.SIGNER, "signed by another key than it asks for"
    )
    proven = cose.signed_by(request.public_key, sealed, sealed.payload, CONTEXT)
    require(proven, VerificationCode.SIGNATURE, "whoever asks does not hold the key")
    return request
