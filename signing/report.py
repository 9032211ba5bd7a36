# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself, signed or authenticated (docs/specs/report.md).

The body is opaque here. Device and nonce are external data: both ends know them, so they are covered by the
seal and do not travel; and since no envelope or delegation has external data, neither can pass for the other.
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
    """Encode what binds a report to its device and its question."""
    if len(device) != UUID_BYTES or len(nonce) not in (0, NONCE_BYTES):
        raise ValueError("a device id has 16 bytes, a nonce 8 or none")
    return encode([CONTEXT, device, nonce])


def sign_report(signer: SigningKey, device: bytes, nonce: bytes, body: bytes) -> bytes:
    """Make a report as a device with a key pair does."""
    return cose.sign1(signer, body, external=external_data(device, nonce))


def mac_report(key: bytes, device: bytes, nonce: bytes, body: bytes) -> bytes:
    """Make a report as a device that is too small to sign does."""
    _check_mac_key(key)
    return cose.mac0(key, device[:KEY_ID_BYTES], body, external_data(device, nonce))


def verify_signed(report: bytes, public_key: bytes, device: bytes, nonce: bytes) -> bytes:
    """Return the body of a report that this device signed for this question."""
    external = external_data(device, nonce)
    sealed = _read(report, cose.SIGN1_TAG)
    require(sealed.key_id == key_id(public_key), VerificationCode.SIGNER, "signed by another key than the device's")
    signed = cose.signed_by(public_key, sealed, sealed.payload, external)
    require(signed, VerificationCode.AUTHENTICATION, "not this device's signature, or not the answer to this question")
    return sealed.payload


def verify_authenticated(report: bytes, key: bytes, device: bytes, nonce: bytes) -> bytes:
    """Return the body of a report that was authenticated with this device's shared key for this question."""
    _check_mac_key(key)
    external = external_data(device, nonce)
    sealed = _read(report, cose.MAC0_TAG)
    require(sealed.key_id == device[:KEY_ID_BYTES], VerificationCode.SIGNER, "authenticated as another device")
    genuine = cose.authenticated_by(key, sealed, sealed.payload, external)
    require(genuine, VerificationCode.AUTHENTICATION, "not this device's tag, or not the answer to this question")
    return sealed.payload


def _read(report: bytes, tag: int) -> cose.CoseMessage:
    require(len(report) <= MAX_REPORT_BYTES, VerificationCode.TOO_LONG, f"{len(report)} bytes")
    return cose.read(CborReader(report), tag)


def _check_mac_key(key: bytes) -> None:
    if len(key) != MAC_KEY_BYTES:
        raise ValueError(f"a shared key has {MAC_KEY_BYTES} bytes")
