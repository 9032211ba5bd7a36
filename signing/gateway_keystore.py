# SPDX-License-Identifier: Apache-2.0
"""The gateway's key directory: private keys named by their ids, and the delegation that selects the active one.

A single rename of `delegation.cwt` switches to the next key, so a power cut during a rotation leaves either the old
pair or the new one. Rotations of the root are stored before that, each under the id of the root that signed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from signing import cose, keys
from signing.cbor import CborReader
from signing.cose import SigningKey
from signing.delegation import Delegation, read_claims, read_delegation
from signing.identifiers import key_id
from signing.key_files import KeyStoreError, read_public, write_public
from signing.keys import FileKey
from signing.private_key_pem import Passphrase
from signing.rotation import describe_rotation

DELEGATION = "delegation.cwt"


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """Everything that a gateway needs to sign envelopes."""

    signer: SigningKey
    cwt: bytes  # included in an envelope if the device does not hold it yet
    delegation: Delegation
    rotations: Mapping[bytes, bytes] = field(default_factory=dict)  # of the root, by the id of the root that signed

    @property
    def root_id(self) -> bytes:
        """The id of the root that signed the delegation."""
        return cose.read(CborReader(self.cwt), cose.SIGN1_TAG).key_id


def new_key(directory: Path, passphrase: bytes | None) -> FileKey:
    """Make a key next to the existing ones. It becomes active when its delegation is installed."""
    key = keys.generate()
    keys.save(key, _key_file(directory, key_id(key.public_key)), passphrase)
    return key


def latest_key(directory: Path, passphrase: Passphrase) -> FileKey:
    """Return the key that waits for its delegation, or the active key if none waits."""
    files = {path.name: path for path in directory.glob("gateway-*.key")}
    if (directory / DELEGATION).exists() and len(files) > 1:
        files.pop(_key_file(directory, _delegation(directory)[1].key_id).name, None)
    if len(files) != 1:
        raise KeyStoreError(f"{directory} has {len(files)} keys without a delegation, expected one")
    return keys.load(next(iter(files.values())), passphrase)


def add_rotation(directory: Path, data: bytes, root_key: bytes) -> None:
    """Store a rotation that leads to the root of the delegation to install, or to another rotation that is stored."""
    signer, rotation = describe_rotation(data)
    known = {key_id(root_key), *_rotations(directory)}
    if rotation.key_id not in known:
        raise KeyStoreError(
            f"the rotation leads to root {rotation.key_id.hex()}, not to {key_id(root_key).hex()}, "
            "which signs the delegation: pass later rotations first"
        )
    if signer == key_id(root_key):
        raise KeyStoreError("the rotation leads away from the root that signs the delegation")
    write_public(directory / f"rotation-{signer.hex()}.cwt", data)


def install(directory: Path, cwt: bytes, root_key: bytes, vendor: bytes) -> Delegation:
    """Activate a delegation, and delete the keys that it replaces."""
    delegation = read_delegation(cwt, root_key)
    if delegation.vendor != vendor:
        raise KeyStoreError("the delegation is for another fleet")
    current = _key_file(directory, delegation.key_id)
    if not current.exists():
        raise KeyStoreError(f"the delegation is for key {delegation.key_id.hex()}, which {directory} does not hold")
    write_public(directory / DELEGATION, cwt)
    for path in directory.glob("gateway-*.key"):
        if path != current:
            path.unlink()
    return delegation


def load(directory: Path, passphrase: Passphrase) -> GatewayKey:
    """Load the active delegation and its key."""
    cwt, delegation = _delegation(directory)
    signer = keys.load(_key_file(directory, delegation.key_id), passphrase)
    if signer.public_key != delegation.gateway_key:
        raise KeyStoreError(f"the key in {directory} is not the one that its delegation names")
    return GatewayKey(signer, cwt, delegation, _rotations(directory))


def _delegation(directory: Path) -> tuple[bytes, Delegation]:
    cwt = read_public(directory / DELEGATION)
    return cwt, read_claims(cose.read(CborReader(cwt), cose.SIGN1_TAG).payload)


def _rotations(directory: Path) -> dict[bytes, bytes]:
    stored = [read_public(path) for path in sorted(directory.glob("rotation-*.cwt"))]
    return {describe_rotation(data)[0]: data for data in stored}


def _key_file(directory: Path, kid: bytes) -> Path:
    return directory / f"gateway-{kid.hex()}.key"
