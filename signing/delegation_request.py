# SPDX-License-Identifier: Apache-2.0
"""A gateway's request for a delegation: its public key and its fleet, signed with the private key.

The signature proves that the requester holds the private key. The request can travel over any channel, provided that
the holder of the root key and the operator of the gateway compare the key id over a second, trusted channel.
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
    """The key that asks for a delegation, and the fleet that it asks for."""

    vendor: bytes
    public_key: bytes


def make_request(gateway: SigningKey, vendor: bytes) -> bytes:
    """Make and sign a request."""
    return cose.sign1(gateway, encode([vendor, gateway.public_key]), external=CONTEXT)


def read_request(data: bytes) -> DelegationRequest:
    """Read a request and verify that the requester holds the private key."""
    message = cose.read(CborReader(data), cose.SIGN1_TAG)
    reader = CborReader(message.payload)
    reader.array(2)
    request = DelegationRequest(reader.byte_string(UUID_BYTES), reader.byte_string(cose.PUBLIC_KEY_BYTES))
    reader.end()
    require(
        message.key_id == key_id(request.public_key), VerificationCode.SIGNER, "not signed by the key that it names"
    )
    proven = cose.is_signed_by(request.public_key, message, message.payload, CONTEXT)
    require(proven, VerificationCode.SIGNATURE, "the requester does not hold the private key")
    return request
