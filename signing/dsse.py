# SPDX-License-Identifier: Apache-2.0
"""DSSE v1: signs a payload together with its type, in JSON (docs/specs/provenance.md section 2)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signing.cose import SIGNATURE_BYTES, SigningKey
from signing.identifiers import KEY_ID_BYTES, key_id

MAX_DSSE_BYTES = 65_536


class DsseError(ValueError):
    """The bytes are not an envelope of the one form that tinyfleet uses."""


@dataclass(frozen=True, slots=True)
class DsseEnvelope:
    """A payload with its signature. Nothing in it is trusted yet."""

    payload_type: str
    payload: bytes
    key_id: bytes
    signature: bytes

    def is_signed_by(self, public_key: bytes) -> bool:
        """Check the signature with a public key."""
        signed = pre_authentication_encoding(self.payload_type, self.payload)
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, signed)
        except InvalidSignature:
            return False
        return True


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Encode what the signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_dsse(signer: SigningKey, payload_type: str, payload: bytes) -> bytes:
    """Sign a payload; return the envelope as JSON."""
    signature = signer.sign(pre_authentication_encoding(payload_type, payload))
    content = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(signer.public_key).hex(), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def read_dsse(data: bytes) -> DsseEnvelope:
    """Read an envelope with exactly one signature, without verifying it."""
    if len(data) > MAX_DSSE_BYTES:
        raise DsseError(f"it has {len(data)} bytes; the maximum is {MAX_DSSE_BYTES}")
    try:
        content = json.loads(data)
        (entry,) = content["signatures"]
        payload_type = content["payloadType"]
        found = DsseEnvelope(
            payload_type,
            base64.b64decode(content["payload"], validate=True),
            bytes.fromhex(entry["keyid"]),
            base64.b64decode(entry["sig"], validate=True),
        )
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise DsseError("it is not a DSSE envelope with one signature") from error
    if not isinstance(payload_type, str) or len(found.key_id) != KEY_ID_BYTES:
        raise DsseError("its payload type or its key id has another form")
    if len(found.signature) != SIGNATURE_BYTES:
        raise DsseError(f"its signature has {len(found.signature)} bytes; an Ed25519 signature has {SIGNATURE_BYTES}")
    return found
