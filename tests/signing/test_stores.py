# SPDX-License-Identifier: Apache-2.0
"""The root's ledger of epochs and the gateway's rotation of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from signing import gatewaystore, rootstore
from signing.cbor import encode
from signing.cose import sign1
from signing.delegation import Delegation, delegate, read_delegation
from signing.keyfiles import KeyStoreError, write_public
from signing.keys import read_public_key
from signing.names import key_id, vendor_id
from signing.request import CONTEXT, Request, make_request, read_request
from signing.rootstore import Root
from signing.verdict import RefusedError
from tests.signing.forge import Key

SECRET = b"correct horse battery staple"
FLEET = "plant"
VENDOR = vendor_id(FLEET)


def _no_passphrase() -> bytes:
    raise AssertionError("this key is not encrypted")


def _root(directory: Path) -> Root:
    return Root(directory, lambda: SECRET)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rootstore.init(tmp_path / "root", SECRET)
    return tmp_path / "root"


def test_the_roots_public_half_is_written_in_three_forms(root: Path) -> None:
    public_key = _root(root).public_key
    assert read_public_key(root / rootstore.PEM) == public_key
    assert read_public_key(root / rootstore.HEX) == public_key
    assert key_id(public_key).hex() in (root / rootstore.HEADER).read_text(encoding="ascii")


def test_epochs_only_rise(root: Path) -> None:
    store, request = _root(root), Request(VENDOR, Key().public_key)
    assert store.epoch(FLEET) == 0
    assert read_delegation(store.delegate(FLEET, request), store.public_key).epoch == 1
    assert store.revoke(FLEET) == 2
    assert read_delegation(store.delegate(FLEET, request), store.public_key).epoch == 2
    assert read_delegation(store.delegate(FLEET, request, epoch=7), store.public_key).epoch == 7
    with pytest.raises(KeyStoreError, match="epoch 6 has passed"):
        store.delegate(FLEET, request, epoch=6)
    assert _root(root).epoch(FLEET) == 7  # it was kept
    assert _root(root).epoch("harbour") == 0


def test_a_request_for_another_fleet_is_refused(root: Path) -> None:
    with pytest.raises(KeyStoreError, match="another fleet"):
        _root(root).delegate("harbour", Request(VENDOR, Key().public_key))


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"plant": "1"}'])
def test_a_damaged_ledger_stops_the_root(root: Path, damage: bytes) -> None:
    write_public(root / rootstore.LEDGER, damage)
    with pytest.raises(KeyStoreError, match=r"epochs\.json"):
        _root(root).revoke(FLEET)


def test_a_request_comes_back() -> None:
    gateway = Key()
    assert read_request(make_request(gateway, VENDOR)) == Request(VENDOR, gateway.public_key)


def test_a_request_for_a_key_that_one_does_not_hold_is_refused() -> None:
    victim, thief = Key(), Key()
    stolen = encode([VENDOR, victim.public_key])
    with pytest.raises(RefusedError, match="SIGNER"):
        read_request(sign1(thief, stolen, external=CONTEXT))
    alias = Key()
    alias.public_key = victim.public_key
    with pytest.raises(RefusedError, match="SIGNATURE"):
        read_request(sign1(alias, stolen, external=CONTEXT))


def test_another_signature_of_the_gateway_is_no_request() -> None:
    gateway = Key()
    with pytest.raises(RefusedError, match="SIGNATURE"):
        read_request(sign1(gateway, encode([VENDOR, gateway.public_key])))


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [([VENDOR], "UNEXPECTED"), ([VENDOR, b"short"], "UNEXPECTED"), ([VENDOR[1:], bytes(32)], "UNEXPECTED")],
)
def test_a_malformed_request_is_refused(payload: object, verdict: str) -> None:
    with pytest.raises(RefusedError, match=verdict):
        read_request(sign1(Key(), encode(payload), external=CONTEXT))


def test_a_request_with_more_in_it_is_refused() -> None:
    gateway = Key()
    with pytest.raises(RefusedError, match="TRAILING"):
        read_request(sign1(gateway, encode([VENDOR, gateway.public_key]) + b"\0", external=CONTEXT))


def test_a_gateways_first_key_and_its_rotation(root: Path, tmp_path: Path) -> None:
    store, directory = _root(root), tmp_path / "gateway"
    first = gatewaystore.new_key(directory, None)
    assert gatewaystore.latest_key(directory, _no_passphrase).public_key == first.public_key
    cwt = store.delegate(FLEET, read_request(make_request(first, VENDOR)))
    gatewaystore.install(directory, cwt, store.public_key, VENDOR)
    assert gatewaystore.load(directory, _no_passphrase).signer.public_key == first.public_key

    second = gatewaystore.new_key(directory, None)
    assert gatewaystore.latest_key(directory, _no_passphrase).public_key == second.public_key
    assert gatewaystore.load(directory, _no_passphrase).signer.public_key == first.public_key  # still in force
    cwt = store.delegate(FLEET, read_request(make_request(second, VENDOR)))
    gatewaystore.install(directory, cwt, store.public_key, VENDOR)
    gateway = gatewaystore.load(directory, _no_passphrase)
    assert gateway.signer.public_key == second.public_key == gateway.delegation.gateway_key
    assert gateway.cwt == cwt
    assert len(list(directory.glob("*.key"))) == 1  # the first one is gone
    assert gatewaystore.latest_key(directory, _no_passphrase).public_key == second.public_key


def test_two_keys_that_wait_are_one_too_many(tmp_path: Path) -> None:
    gatewaystore.new_key(tmp_path, None)
    gatewaystore.new_key(tmp_path, None)
    with pytest.raises(KeyStoreError, match="2 keys that wait"):
        gatewaystore.latest_key(tmp_path, _no_passphrase)


def test_a_delegation_that_does_not_fit_is_not_installed(root: Path, tmp_path: Path) -> None:
    store, directory = _root(root), tmp_path / "gateway"
    key = gatewaystore.new_key(directory, None)
    cwt = store.delegate(FLEET, Request(VENDOR, key.public_key))
    with pytest.raises(RefusedError, match="ROOT"):
        gatewaystore.install(directory, cwt, Key().public_key, VENDOR)
    with pytest.raises(KeyStoreError, match="another fleet"):
        gatewaystore.install(directory, cwt, store.public_key, vendor_id("harbour"))
    foreign = store.delegate(FLEET, Request(VENDOR, Key().public_key))
    with pytest.raises(KeyStoreError, match="not in"):
        gatewaystore.install(directory, foreign, store.public_key, VENDOR)
    assert not (directory / gatewaystore.DELEGATION).exists()


def test_a_key_file_under_another_keys_name_is_noticed(tmp_path: Path) -> None:
    first, second = gatewaystore.new_key(tmp_path, None), gatewaystore.new_key(tmp_path, None)
    names = [tmp_path / f"gateway-{key_id(key.public_key).hex()}.key" for key in (first, second)]
    names[0].replace(names[1])
    write_public(tmp_path / gatewaystore.DELEGATION, delegate(Key(), Delegation(second.public_key, VENDOR, 1)))
    with pytest.raises(KeyStoreError, match="another key than its delegation"):
        gatewaystore.load(tmp_path, _no_passphrase)
