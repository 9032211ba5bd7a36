# SPDX-License-Identifier: Apache-2.0
"""The root's key directory: public key formats, and the ledger of epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from signing import root_keystore
from signing.delegation import read_delegation
from signing.delegation_request import DelegationRequest
from signing.identifiers import key_id, vendor_id
from signing.key_files import KeyStoreError, write_public
from signing.keys import read_public_key
from signing.root_keystore import RootKeystore
from tests.signing.forgery import Key

SECRET = b"correct horse battery staple"
FLEET = "plant"
VENDOR = vendor_id(FLEET)


def _root(directory: Path) -> RootKeystore:
    return RootKeystore(directory, lambda: SECRET)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root_keystore.init(tmp_path / "root", SECRET)
    return tmp_path / "root"


def test_the_root_public_key_is_written_in_three_formats(root: Path) -> None:
    public_key = _root(root).public_key
    assert read_public_key(root / root_keystore.PEM) == public_key
    assert read_public_key(root / root_keystore.HEX) == public_key
    assert key_id(public_key).hex() in (root / root_keystore.HEADER).read_text(encoding="ascii")


def test_epochs_only_rise(root: Path) -> None:
    store, request = _root(root), DelegationRequest(VENDOR, Key().public_key)
    assert store.epoch(FLEET) == 0
    assert read_delegation(store.delegate(FLEET, request), store.public_key).epoch == 1
    assert store.revoke(FLEET) == 2
    assert read_delegation(store.delegate(FLEET, request), store.public_key).epoch == 2
    assert read_delegation(store.delegate(FLEET, request, epoch=7), store.public_key).epoch == 7
    with pytest.raises(KeyStoreError, match="epoch 6 is too low"):
        store.delegate(FLEET, request, epoch=6)
    assert _root(root).epoch(FLEET) == 7  # it is unchanged
    assert _root(root).epoch("harbour") == 0


def test_a_request_for_another_fleet_is_refused(root: Path) -> None:
    with pytest.raises(KeyStoreError, match="not for fleet"):
        _root(root).delegate("harbour", DelegationRequest(VENDOR, Key().public_key))


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"plant": "1"}'])
def test_a_damaged_ledger_is_rejected(root: Path, damage: bytes) -> None:
    write_public(root / root_keystore.LEDGER, damage)
    with pytest.raises(KeyStoreError, match=r"epochs\.json"):
        _root(root).revoke(FLEET)
