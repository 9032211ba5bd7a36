# SPDX-License-Identifier: Apache-2.0
"""Envelopes round-trip, have the documented sizes, and follow the draft."""

from __future__ import annotations

import hashlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing.cbor import encode
from signing.delegation import Delegation, delegate, read_delegation
from signing.envelope import MAX_INDEX, UINT32_MAX, ConfigureOrder, InstallOrder, Order, make
from signing.identifiers import EnvelopeTarget
from signing.verification_error import VerificationError
from signing.verify import DeviceState, verify
from tests.signing.forgery import Key
from tests.signing.parties import CLASS, DEVICE, DIGEST, VENDOR, Parties

ROOT, GATEWAY = Key(), Key()
TARGET = EnvelopeTarget(VENDOR, CLASS, DEVICE)
INT32 = st.integers(-(2**31), 2**31 - 1)
SEQUENCES = st.integers(1, UINT32_MAX)
DIGESTS = st.binary(min_size=32, max_size=32)
INSTALLS = st.builds(InstallOrder, SEQUENCES, DIGESTS, st.integers(1, UINT32_MAX))
VALUES = st.dictionaries(st.integers(0, MAX_INDEX), INT32, max_size=8)
CONFIGURES = st.builds(ConfigureOrder, SEQUENCES, DIGESTS, VALUES)
GRANTS = st.builds(
    Delegation,
    st.just(GATEWAY.public_key),
    st.just(VENDOR),
    st.integers(1, UINT32_MAX),
    st.none() | st.integers(1, UINT32_MAX),
)


@given(order=INSTALLS | CONFIGURES, grant=GRANTS, carried=st.booleans())
def test_envelopes_round_trip(order: Order, grant: Delegation, *, carried: bool) -> None:
    envelope = make(GATEWAY, TARGET, order, delegate(ROOT, grant) if carried else None)
    held = None if carried else grant
    state = DeviceState(ROOT.public_key, TARGET, UINT32_MAX, order.sequence - 1, held, running=order.digest)
    accepted = verify(envelope, state)
    assert accepted.order == order
    assert accepted.delegation == grant


@given(order=INSTALLS | CONFIGURES, grant=GRANTS)
def test_encoding_is_deterministic_cbor(order: Order, grant: Delegation) -> None:
    def check(data: bytes) -> None:
        item = cbor2.loads(data)
        assert cbor2.dumps(item, canonical=True) == data
        for part in _byte_strings(item):
            if part[:1] and part[0] >> 5 in {4, 5, 6} and len(part) not in {16, 32, 64, 8}:
                check(part)

    check(make(GATEWAY, TARGET, order, delegate(ROOT, grant)))


def _byte_strings(item: object) -> list[bytes]:
    if isinstance(item, bytes):
        return [item]
    if isinstance(item, cbor2.CBORTag):
        return _byte_strings(item.value)
    if isinstance(item, dict):
        return [part for value in item.values() for part in _byte_strings(value)]
    if isinstance(item, list):
        return [part for value in item for part in _byte_strings(value)]
    return []


def test_encoding_is_deterministic() -> None:
    order = InstallOrder(3, DIGEST, 4096)
    assert make(GATEWAY, TARGET, order) == make(GATEWAY, TARGET, order)


@pytest.mark.parametrize(
    "order",
    [
        InstallOrder(0, DIGEST, 1),
        InstallOrder(UINT32_MAX + 1, DIGEST, 1),
        InstallOrder(1, DIGEST, 0),
        InstallOrder(1, DIGEST, UINT32_MAX + 1),
        ConfigureOrder(1, DIGEST, dict.fromkeys(range(9), 0)),
        ConfigureOrder(1, DIGEST, {16: 0}),
        ConfigureOrder(1, DIGEST, {-1: 0}),
        ConfigureOrder(1, DIGEST, {0: 2**31}),
        ConfigureOrder(1, DIGEST, {0: -(2**31) - 1}),
    ],
    ids=repr,
)
def test_an_order_out_of_range_is_not_signed(order: Order) -> None:
    with pytest.raises(VerificationError, match="OUT_OF_RANGE"):
        make(GATEWAY, TARGET, order)


@pytest.mark.parametrize(
    "grant",
    [
        Delegation(GATEWAY.public_key, VENDOR, 0),
        Delegation(GATEWAY.public_key, VENDOR, UINT32_MAX + 1),
        Delegation(GATEWAY.public_key, VENDOR, 1, 0),
        Delegation(GATEWAY.public_key, VENDOR, 1, UINT32_MAX + 1),
    ],
    ids=["epoch-0", "epoch-too-large", "exp-0", "exp-too-large"],
)
def test_a_delegation_out_of_range_is_not_signed(grant: Delegation) -> None:
    with pytest.raises(ValueError, match="must be between"):
        delegate(ROOT, grant)


@pytest.mark.parametrize("number", [1, UINT32_MAX])
def test_the_first_and_the_last_epoch_and_second_can_be_delegated(number: int) -> None:
    grant = Delegation(GATEWAY.public_key, VENDOR, number, number)
    assert read_delegation(delegate(ROOT, grant), ROOT.public_key) == grant


def test_the_largest_envelopes_have_the_documented_size() -> None:
    cwt = delegate(ROOT, Delegation(GATEWAY.public_key, VENDOR, UINT32_MAX, UINT32_MAX))
    assert len(cwt) == 167
    install = InstallOrder(UINT32_MAX, DIGEST, UINT32_MAX)
    assert len(make(GATEWAY, TARGET, install)) == 275
    assert len(make(GATEWAY, TARGET, install, cwt)) == 275 + 174
    three = ConfigureOrder(UINT32_MAX, DIGEST, dict.fromkeys(range(3), -(2**31)))
    assert len(make(GATEWAY, TARGET, three)) == 259
    eight = ConfigureOrder(UINT32_MAX, DIGEST, dict.fromkeys(range(8), -(2**31)))
    assert len(make(GATEWAY, TARGET, eight)) == 290
    assert len(make(GATEWAY, TARGET, eight, cwt)) == 464


def test_the_manifest_digest_matches_the_draft() -> None:
    """Appendix B.1 of the draft (Example 0): its wrapped manifest has the digest that the draft states."""
    vendor, class_ = (
        bytes.fromhex("fa6b4a53d5ad5fdfbe9de663e4d41ffe"),
        bytes.fromhex("1492af1425695e48bf429b2d51f2ab45"),
    )
    image = bytes.fromhex("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210")
    parameters = {1: vendor, 2: class_, 3: encode([-16, image]), 14: 34768}
    common = encode({2: [[b"\x00"]], 4: encode([20, parameters, 1, 15, 2, 15])})
    manifest = encode({1: 1, 2: 0, 3: common, 7: encode([3, 15]), 9: encode([23, 2])})
    digest = hashlib.sha256(encode(manifest)).hexdigest()
    assert digest == "6658ea560262696dd1f13b782239a064da7c6c5cbaf52fded428a6fc83c7e5af"


def test_forgery_and_package_make_the_same_bytes() -> None:
    """Two encoders without shared code make the same envelope."""
    parties = Parties()
    forged = parties.forgery().build()
    assert make(parties.gateway, TARGET, InstallOrder(1, DIGEST, 4096)) == forged
    forged = parties.forgery().build(values={1: 30, 2: -4}, delegated=True)
    cwt = delegate(parties.root, Delegation(parties.gateway.public_key, VENDOR, 1))
    assert make(parties.gateway, TARGET, ConfigureOrder(1, DIGEST, {2: -4, 1: 30}), cwt) == forged
