# SPDX-License-Identifier: Apache-2.0
"""Signs and verifies the reports of devices (docs/specs/report.md).

The body is opaque here. Device id and nonce are external data: both ends know them, so the signature or MAC covers
them without sending them. Envelopes and delegations have no external data, so neither can be passed off as a report.
"""

from __future__ import annotations

from signing import cose
from signing.cbor import CborReader, encode
from signing.cose import SigningKey
from signing.identifiers import KEY_ID_BYTES, UUID_BYTES, key_id
from signing.verification_error import VerificationCode, require

CONTEXT = b"tinyfleet/report/1"
NONCE_BYTES = 8
MAX_REPORT_BYTES = 1024
MAC_KEY_BYTES = 32


def external_data(device: bytes, nonce: bytes) -> bytes:
    """Encode the external data, which binds a report to its device and its question."""
    if len(device) != UUID_BYTES or len(nonce) not in (0, NONCE_BYTES):
        raise ValueError("a device id must have 16 bytes, a nonce 8 or 0")
    return encode([CONTEXT, device, nonce])


def sign_report(signer: SigningKey, device: bytes, nonce: bytes, body: bytes) -> bytes:
    """Make the report of a device that has a key pair."""
    return cose.sign1(signer, body, external=external_data(device, nonce))


def mac_report(key: bytes, device: bytes, nonce: bytes, body: bytes) -> bytes:
    """Make the report of a device that is too small to sign and uses a MAC instead."""
    _check_mac_key(key)
    return cose.mac0(key, device[:KEY_ID_BYTES], body, external_data(device, nonce))


def verify_signed(report: bytes, public_key: bytes, device: bytes, nonce: bytes) -> bytes:
    """Verify that this device signed the report for this question, and return its body."""
    external = external_data(device, nonce)
    message = _read(report, cose.SIGN1_TAG)
    require(message.key_id == key_id(public_key), VerificationCode.SIGNER, "not signed with the key of this device")
    signed = cose.is_signed_by(public_key, message, message.payload, external)
    require(signed, VerificationCode.AUTHENTICATION, "the signature is wrong, or the report answers another question")
    return message.payload


def verify_authenticated(report: bytes, key: bytes, device: bytes, nonce: bytes) -> bytes:
    """Verify that this device made the report for this question, and return its body."""
    _check_mac_key(key)
    external = external_data(device, nonce)
    message = _read(report, cose.MAC0_TAG)
    require(message.key_id == device[:KEY_ID_BYTES], VerificationCode.SIGNER, "the key id names another device")
    genuine = cose.is_authenticated_by(key, message, message.payload, external)
    require(genuine, VerificationCode.AUTHENTICATION, "the MAC is wrong, or the report answers another question")
    return message.payload


def _read(report: bytes, tag: int) -> cose.CoseMessage:
    require(len(report) <= MAX_REPORT_BYTES, VerificationCode.TOO_LONG, f"{len(report)} bytes")
    return cose.read(CborReader(report), tag)


def _check_mac_key(key: bytes) -> None:
    if len(key) != MAC_KEY_BYTES:
        raise ValueError(f"a shared key must have {MAC_KEY_BYTES} bytes")
