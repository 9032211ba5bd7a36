# SPDX-License-Identifier: Apache-2.0
"""Signatures of model-signing: bundles that version 1 of its program made, and damaged ones.

The private key of tests/vectors/model-signing was discarded.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.dsse import pre_authentication_encoding
from signing.model_bundle import MAX_BUNDLE_BYTES, ModelBundleError, read_model_keys, signed_digests

FOLDER = Path(__file__).parents[1] / "vectors" / "model-signing"
KEYS = read_model_keys((FOLDER / "model_keys.pem").read_bytes())
MODEL = hashlib.sha256((FOLDER / "model.json").read_bytes()).hexdigest()


def bundle(name: str = "model.json.sig") -> bytes:
    return (FOLDER / name).read_bytes()


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("name", ["model.json.sig", "folder.sig"])
def test_what_the_program_signed_is_accepted(name: str) -> None:
    assert signed_digests(bundle(name), KEYS) == {MODEL}


def test_another_key_is_not() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ModelBundleError, match="none of the accepted keys"):
        signed_digests(bundle(), read_model_keys(pem(other)))
    assert signed_digests(bundle(), read_model_keys(pem(other) + (FOLDER / "model_keys.pem").read_bytes())) == {MODEL}


def test_every_changed_byte_of_payload_or_signature_is_refused() -> None:
    content = json.loads(bundle())
    payload = base64.b64decode(content["dsseEnvelope"]["payload"])
    for at in range(0, len(payload), 7):
        damaged = bytearray(payload)
        damaged[at] ^= 1
        content["dsseEnvelope"]["payload"] = base64.b64encode(damaged).decode()
        with pytest.raises(ModelBundleError):
            signed_digests(json.dumps(content).encode(), KEYS)


def signed_again(change: Callable[[dict[str, Any]], None], curve: ec.EllipticCurve, hash_: hashes.HashAlgorithm) -> Any:  # noqa: ANN401 - what came out
    """Change the statement, sign it with a key that is accepted, and verify that."""
    content = json.loads(bundle())
    statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
    change(statement)
    payload, key = json.dumps(statement).encode(), ec.generate_private_key(curve)
    signature = key.sign(pre_authentication_encoding(content["dsseEnvelope"]["payloadType"], payload), ec.ECDSA(hash_))
    content["dsseEnvelope"] |= {
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
    }
    return signed_digests(json.dumps(content).encode(), read_model_keys(pem(key)))


@pytest.mark.parametrize(
    ("curve", "hash_"),
    [(ec.SECP256R1(), hashes.SHA256()), (ec.SECP384R1(), hashes.SHA384()), (ec.SECP521R1(), hashes.SHA512())],
    ids=lambda each: each.name,
)
def test_all_curves_of_the_program(curve: ec.EllipticCurve, hash_: hashes.HashAlgorithm) -> None:
    assert signed_again(lambda _: None, curve, hash_) == {MODEL}


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another statement": lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicate": lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
    "pieces of files": lambda s: s["predicate"]["serialization"].update(method="shards"),
    "another hash": lambda s: s["predicate"]["serialization"].update(hash_type="blake2b"),
    "another hash of a file": lambda s: s["predicate"]["resources"][0].update(algorithm="blake2b"),
    "another file": lambda s: s["predicate"]["resources"][0].update(digest="00" * 32),
    "a file more": lambda s: s["predicate"]["resources"].append(
        {"name": "x", "digest": "11" * 32, "algorithm": "sha256"}
    ),
    "no files": lambda s: s["predicate"].pop("resources"),
    "two subjects": lambda s: s["subject"].append(s["subject"][0]),
    "no list": lambda s: s["predicate"].update(resources=7),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_signed_statement_of_another_form_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ModelBundleError, match="not a list of model files"):
        signed_again(change, ec.SECP256R1(), hashes.SHA256())


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"[" * 9000, b'{"verificationMaterial": {}, "dsseEnvelope": 1}', b" " * (MAX_BUNDLE_BYTES + 1)],
    ids=["empty", "no-fields", "list", "deep", "number", "large"],
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(ModelBundleError):
        signed_digests(data, KEYS)


def test_a_bundle_with_a_certificate_says_what_to_do() -> None:
    content = json.loads(bundle())
    content["verificationMaterial"] = {"x509CertificateChain": {"certificates": []}}
    with pytest.raises(ModelBundleError, match="sign the model with a key"):
        signed_digests(json.dumps(content).encode(), KEYS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256K1())),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
    ids=["empty", "ed25519", "another-curve", "damaged"],
)
def test_a_file_without_usable_keys_is_refused(data: bytes) -> None:
    with pytest.raises(ModelBundleError):
        read_model_keys(data)
