# SPDX-License-Identifier: Apache-2.0
"""The gateway's key directory: the active key, and the rotation to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from signing import gateway_keystore
from signing.delegation import Delegation, delegate
from signing.identifiers import key_id, vendor_id
from signing.key_files import KeyStoreError, write_public
from signing.verification_error import VerificationError
from tests.signing.forgery import Key

SECRET = b"correct horse battery staple"
FLEET = "plant"
VENDOR = vendor_id(FLEET)


def _no_passphrase() -> bytes:
    raise AssertionError("this key is not encrypted")


def test_a_gateways_first_key_and_its_rotation(tmp_path: Path) -> None:
    root, directory = Key(), tmp_path / "gateway"
    first = gateway_keystore.new_key(directory, None)
    assert gateway_keystore.latest_key(directory, _no_passphrase).public_key == first.public_key
    cwt = delegate(root, Delegation(first.public_key, VENDOR, 1))
    gateway_keystore.install(directory, cwt, root.public_key, VENDOR)
    assert gateway_keystore.load(directory, _no_passphrase).signer.public_key == first.public_key

    second = gateway_keystore.new_key(directory, None)
    assert gateway_keystore.latest_key(directory, _no_passphrase).public_key == second.public_key
    assert gateway_keystore.load(directory, _no_passphrase).signer.public_key == first.public_key  # still in force
    cwt = delegate(root, Delegation(second.public_key, VENDOR, 1))
    gateway_keystore.install(directory, cwt, root.public_key, VENDOR)
    gateway = gateway_keystore.load(directory, _no_passphrase)
    assert gateway.signer.public_key == second.public_key == gateway.delegation.gateway_key
    assert gateway.cwt == cwt
    assert len(list(directory.glob("*.key"))) == 1  # the first one is gone
    assert gateway_keystore.latest_key(directory, _no_passphrase).public_key == second.public_key


def test_two_keys_without_a_delegation_are_rejected(tmp_path: Path) -> None:
    gateway_keystore.new_key(tmp_path, None)
    gateway_keystore.new_key(tmp_path, None)
    with pytest.raises(KeyStoreError, match="2 keys without a delegation"):
        gateway_keystore.latest_key(tmp_path, _no_passphrase)


def test_a_delegation_for_another_key_or_fleet_is_not_installed(tmp_path: Path) -> None:
    root, directory = Key(), tmp_path / "gateway"
    key = gateway_keystore.new_key(directory, None)
    cwt = delegate(root, Delegation(key.public_key, VENDOR, 1))
    with pytest.raises(VerificationError, match="ROOT"):
        gateway_keystore.install(directory, cwt, Key().public_key, VENDOR)
    with pytest.raises(KeyStoreError, match="another fleet"):
        gateway_keystore.install(directory, cwt, root.public_key, vendor_id("harbour"))
    foreign = delegate(root, Delegation(Key().public_key, VENDOR, 1))
    with pytest.raises(KeyStoreError, match="does not hold"):
        gateway_keystore.install(directory, foreign, root.public_key, VENDOR)
    assert not (directory / gateway_keystore.DELEGATION).exists()


def test_a_key_file_with_the_wrong_name_is_detected(tmp_path: Path) -> None:
    first, second = gateway_keystore.new_key(tmp_path, None), gateway_keystore.new_key(tmp_path, None)
    names = [tmp_path / f"gateway-{key_id(key.public_key).hex()}.key" for key in (first, second)]
    names[0].replace(names[1])
    write_public(tmp_path / gateway_keystore.DELEGATION, delegate(Key(), Delegation(second.public_key, VENDOR, 1)))
    with pytest.raises(KeyStoreError, match="not the one that its delegation names"):
        gateway_keystore.load(tmp_path, _no_passphrase)
