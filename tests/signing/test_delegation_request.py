# SPDX-License-Identifier: Apache-2.0
"""A request for delegation proves that the requester holds the private key."""

from __future__ import annotations

import pytest

from signing.cbor import encode
from signing.cose import sign1
from signing.delegation_request import CONTEXT, DelegationRequest, make_request, read_request
from signing.identifiers import vendor_id
from signing.verification_error import VerificationError
from tests.signing.forgery import Key

SECRET = b"correct horse battery staple"
FLEET = "plant"
VENDOR = vendor_id(FLEET)


def test_a_request_round_trips() -> None:
    gateway = Key()
    assert read_request(make_request(gateway, VENDOR)) == DelegationRequest(VENDOR, gateway.public_key)


def test_a_request_for_a_foreign_key_is_rejected() -> None:
    victim, thief = Key(), Key()
    stolen = encode([VENDOR, victim.public_key])
    with pytest.raises(VerificationError, match="SIGNER"):
        read_request(sign1(thief, stolen, external=CONTEXT))
    alias = Key()
    alias.public_key = victim.public_key
    with pytest.raises(VerificationError, match="SIGNATURE"):
        read_request(sign1(alias, stolen, external=CONTEXT))


def test_another_signature_of_the_gateway_is_not_a_request() -> None:
    gateway = Key()
    with pytest.raises(VerificationError, match="SIGNATURE"):
        read_request(sign1(gateway, encode([VENDOR, gateway.public_key])))


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [([VENDOR], "UNEXPECTED"), ([VENDOR, b"short"], "UNEXPECTED"), ([VENDOR[1:], bytes(32)], "UNEXPECTED")],
)
def test_a_malformed_request_is_rejected(payload: object, verdict: str) -> None:
    with pytest.raises(VerificationError, match=verdict):
        read_request(sign1(Key(), encode(payload), external=CONTEXT))


def test_a_request_with_trailing_fields_is_rejected() -> None:
    gateway = Key()
    with pytest.raises(VerificationError, match="TRAILING"):
        read_request(sign1(gateway, encode([VENDOR, gateway.public_key]) + b"\0", external=CONTEXT))
