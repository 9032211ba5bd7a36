# SPDX-License-Identifier: Apache-2.0
"""Verifies signatures of model files that OpenSSF's model-signing makes with a key: `model_signing sign key`.

Such a file is a Sigstore bundle: a DSSE envelope around an in-toto statement that lists the files of a model with their
digests (predicate https://model_signing/signature/v1.0). Bundles with a certificate are refused: verifying them takes
the services of Sigstore.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from signing.dsse import pre_authentication_encoding

MAX_BUNDLE_BYTES = 1 << 20
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class ModelBundleError(ValueError):
    """A bundle or a file of public keys does not have the form that is accepted, or a signature is wrong."""


def read_model_keys(pem: bytes) -> tuple[EllipticCurvePublicKey, ...]:
    """Read the public keys of a file: PEM, one after the other, on the curves of model-signing."""
    try:
        keys = [load_pem_public_key(block) for block in _KEY.findall(pem)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ModelBundleError("it has a public key that can't be read") from error
    accepted = tuple(key for key in keys if isinstance(key, EllipticCurvePublicKey) and key.curve.name in HASHES)
    if not accepted or len(accepted) != len(keys):
        raise ModelBundleError(
            "it must have public keys in PEM, each on the curve P-256, P-384 or P-521, and nothing else"
        )
    return accepted


def signed_digests(bundle: bytes, keys: Sequence[EllipticCurvePublicKey]) -> frozenset[str]:
    """Return the SHA-256 of each file that one of these keys has signed, or raise `ModelBundleError`."""
    payload = _verified(bundle, keys)
    try:
        statement = json.loads(payload)
        return frozenset(_digests(statement))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelBundleError(f"what it signs is not a list of model files: {error}") from error


def _verified(bundle: bytes, keys: Sequence[EllipticCurvePublicKey]) -> bytes:
    """Return the payload, whose signature by one of the keys is right."""
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise ModelBundleError(f"it has {len(bundle)} bytes; the maximum is {MAX_BUNDLE_BYTES}")
    try:
        content = json.loads(bundle)
        material, envelope = content["verificationMaterial"], content["dsseEnvelope"]
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
        (entry,) = envelope["signatures"]
        signature = base64.b64decode(entry["sig"], validate=True)
        with_key = "publicKey" in material
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelBundleError("it is not a bundle of model-signing with one signature") from error
    if not with_key:
        raise ModelBundleError("it is signed with a certificate; sign the model with a key")
    if kind != PAYLOAD_TYPE:
        raise ModelBundleError("its payload is not an in-toto statement")
    signed = pre_authentication_encoding(kind, payload)
    if not any(_is_signed_by(key, signature, signed) for key in keys):
        raise ModelBundleError("none of the accepted keys has signed it")
    return payload


def _is_signed_by(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ECDSA(HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _digests(statement: Any) -> Iterable[str]:  # noqa: ANN401 - any JSON value
    """Return the digests of a statement's files, after a check that they are those of its subject."""
    if statement["_type"] != STATEMENT or statement["predicateType"] != PREDICATE:
        raise ValueError("another type of statement")
    predicate = statement["predicate"]
    if predicate["serialization"]["method"] != "files" or predicate["serialization"]["hash_type"] != "sha256":
        raise ValueError("files must be hashed as a whole, with SHA-256")
    resources = predicate["resources"]
    if any(each["algorithm"] != "sha256" for each in resources):
        raise ValueError("each file must have a SHA-256")
    digests: list[str] = [each["digest"] for each in resources]
    (subject,) = statement["subject"]
    if hashlib.sha256(bytes.fromhex("".join(digests))).hexdigest() != subject["digest"]["sha256"]:
        raise ValueError("the digest of its subject is not that of its files")
    return digests
