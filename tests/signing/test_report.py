# SPDX-License-Identifier: Apache-2.0
"""Reports are bound to the device and the question, and never accepted as an order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing import report
from signing.cbor import encode
from signing.cose import sign1
from signing.delegation import Delegation, read_delegation
from signing.verification_error import VerificationError
from tests.signing.forgery import Algorithm, Free, Key, Raw, Tag, Wrap, damaged_forms, sign_cose
from tests.signing.forgery import encode as forged

DEVICE, TWIN = bytes(range(16)), bytes(range(1, 17))
NONCE, OTHER_NONCE = b"question", b"another!"
BODY = bytes.fromhex("8300010203")
KEY, MAC_KEY = Key(), bytes(range(32))

Verifier = Callable[[bytes], bytes]
SIGNED = report.sign_report(KEY, DEVICE, NONCE, BODY)
TAGGED = report.mac_report(MAC_KEY, DEVICE, NONCE, BODY)


def _signed(data: bytes, device: bytes = DEVICE, nonce: bytes = NONCE) -> bytes:
    return report.verify_signed(data, KEY.public_key, device, nonce)


def _tagged(data: bytes, device: bytes = DEVICE, nonce: bytes = NONCE) -> bytes:
    return report.verify_authenticated(data, MAC_KEY, device, nonce)


def _verdict(check: Callable[[], object]) -> str:
    with pytest.raises(VerificationError) as refusal:
        check()
    return refusal.value.code.name


BOTH = pytest.mark.parametrize(("data", "verify"), [(SIGNED, _signed), (TAGGED, _tagged)], ids=["signed", "tagged"])


@given(body=st.binary(max_size=800), nonce=st.just(b"") | st.binary(min_size=8, max_size=8))
def test_a_body_round_trips(body: bytes, nonce: bytes) -> None:
    assert _signed(report.sign_report(KEY, DEVICE, nonce, body), nonce=nonce) == body
    assert _tagged(report.mac_report(MAC_KEY, DEVICE, nonce, body), nonce=nonce) == body


@BOTH
def test_an_answer_to_another_question_is_refused(data: bytes, verify: Callable[..., bytes]) -> None:
    assert verify(data) == BODY
    assert _verdict(lambda: verify(data, nonce=OTHER_NONCE)) == "AUTHENTICATION"
    assert _verdict(lambda: verify(data, nonce=b"")) == "AUTHENTICATION"


def test_a_report_of_another_device_is_refused() -> None:
    assert _verdict(lambda: _signed(SIGNED, device=TWIN)) == "AUTHENTICATION"
    assert _verdict(lambda: _tagged(TAGGED, device=TWIN)) == "SIGNER"
    same_start = DEVICE[:8] + bytes(8)
    assert _verdict(lambda: _tagged(TAGGED, device=same_start)) == "AUTHENTICATION"


def test_a_report_with_another_key_is_refused() -> None:
    assert _verdict(lambda: _signed(report.sign_report(Key(), DEVICE, NONCE, BODY))) == "SIGNER"
    alias = Key()
    alias.public_key = KEY.public_key
    assert _verdict(lambda: _signed(report.sign_report(alias, DEVICE, NONCE, BODY))) == "AUTHENTICATION"
    assert _verdict(lambda: _tagged(report.mac_report(bytes(32), DEVICE, NONCE, BODY))) == "AUTHENTICATION"


def test_a_report_is_never_taken_for_a_delegation() -> None:
    """Even if the root key were a device's key and the body the claims of a delegation."""
    claims = encode({8: {1: {1: 1, -1: 6, -2: bytes(32)}}, -65537: bytes(16), -65538: 1})
    as_report = report.sign_report(KEY, DEVICE, NONCE, claims)
    assert _verdict(lambda: read_delegation(as_report, KEY.public_key)) == "DELEGATION_SIGNATURE"
    assert read_delegation(sign1(KEY, claims), KEY.public_key) == Delegation(bytes(32), bytes(16), 1)
    assert _verdict(lambda: _signed(sign1(KEY, claims))) == "AUTHENTICATION"


@BOTH
def test_a_signature_is_not_accepted_as_a_mac_nor_the_reverse(data: bytes, verify: Verifier) -> None:
    other = TAGGED if data == SIGNED else SIGNED
    assert _verdict(lambda: verify(other)) == "UNEXPECTED"


@BOTH
def test_every_flipped_bit_is_refused(data: bytes, verify: Verifier) -> None:
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            assert _verdict(partial(verify, bytes(flipped)))


@BOTH
def test_every_truncation_is_refused(data: bytes, verify: Verifier) -> None:
    for length in range(len(data)):
        assert _verdict(partial(verify, data[:length])) == "TRUNCATED"
    assert _verdict(lambda: verify(data + b"\0")) == "TRAILING"


@BOTH
def test_a_report_that_is_too_long_is_rejected(data: bytes, verify: Verifier) -> None:
    assert _verdict(lambda: verify(data + bytes(1025 - len(data)))) == "TOO_LONG"
    assert _verdict(lambda: verify(data + bytes(1024 - len(data)))) == "TRAILING"


def test_every_damaged_head_is_rejected_with_its_code() -> None:
    external = report.external_data(DEVICE, NONCE)
    trees = {
        _signed: sign_cose(KEY, BODY, external=external),
        _tagged: Tag(17, [Wrap({1: Algorithm(4), 4: Free(DEVICE[:8])}), {}, BODY, Free(TAGGED[-8:])]),
    }
    for verify, tree in trees.items():
        assert verify(forged(tree)) == BODY
        forms = damaged_forms(tree)
        wrong = [name for name, verdict, data in forms if _verdict(partial(verify, data)) != verdict]
        assert not wrong


def test_the_signature_covers_what_the_specification_says() -> None:
    external = bytes.fromhex("8352") + b"tinyfleet/report/1" + b"\x50" + DEVICE + b"\x48" + NONCE
    assert report.external_data(DEVICE, NONCE) == external
    covered = forged([Raw(b"\x64MAC0"), bytes.fromhex("a201040448") + DEVICE[:8], external, BODY])
    assert TAGGED[-8:] == hmac.new(MAC_KEY, covered, hashlib.sha256).digest()[:8]


@pytest.mark.parametrize(("device", "nonce"), [(DEVICE[1:], NONCE), (DEVICE, b"short"), (DEVICE + b"x", b"")])
def test_wrong_sizes_are_an_error_of_the_caller(device: bytes, nonce: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        report.sign_report(KEY, device, nonce, BODY)


def test_a_short_shared_key_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        report.mac_report(b"", DEVICE, NONCE, BODY)
    with pytest.raises(ValueError, match="32 bytes"):
        report.verify_authenticated(TAGGED, b"", DEVICE, NONCE)
