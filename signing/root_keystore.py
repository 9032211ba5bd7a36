# SPDX-License-Identifier: Apache-2.0
"""The root's key directory: its key, the public key in three formats, the ledger of epochs, and how it came into force.

The ledger lets `revoke` raise an epoch and never go back. It is not secret. If it is lost, the operator passes an
epoch that is at least as high as any that a device has seen.
"""

from __future__ import annotations

import json
from pathlib import Path

from signing import keys
from signing.delegation import Delegation, delegate
from signing.delegation_request import DelegationRequest
from signing.identifiers import vendor_id
from signing.key_files import KeyStoreError, read_public, write_public
from signing.keys import FileKey
from signing.private_key_pem import Passphrase
from signing.rotation import Rotation, describe_rotation, rotate

KEY, PEM, HEX, HEADER, LEDGER = "root.key", "root.pub.pem", "root.pub.hex", "tinyfleet_root_key.h", "epochs.json"
ROTATION = "rotation.cwt"  # by the root before this one


def init(directory: Path, passphrase: bytes) -> FileKey:
    """Make a root key, which is always encrypted, and write the public key in three formats."""
    key = keys.generate()
    keys.save(key, directory / KEY, passphrase)
    write_public(directory / PEM, keys.public_pem(key.public_key))
    write_public(directory / HEX, key.public_key.hex().encode() + b"\n")
    write_public(directory / HEADER, keys.public_header(key.public_key))
    return key


class RootKeystore:
    """A root directory whose key is unlocked."""

    def __init__(self, directory: Path, passphrase: Passphrase) -> None:
        self._ledger = directory / LEDGER
        self._rotation = directory / ROTATION
        self._key = keys.load(directory / KEY, passphrase)

    @property
    def public_key(self) -> bytes:
        """The root's public key, which every device holds."""
        return self._key.public_key

    def epoch(self, fleet: str) -> int:
        """Return the fleet's current epoch; 0 before the first delegation."""
        return self._read_ledger().get(fleet, 0)

    def delegate(
        self, fleet: str, request: DelegationRequest, *, epoch: int | None = None, not_after: int | None = None
    ) -> bytes:
        """Delegate to the requesting gateway, in the fleet's current epoch unless a higher one is given."""
        vendor = vendor_id(fleet)
        if request.vendor != vendor:
            raise KeyStoreError(f"the request is not for fleet {fleet}")
        current = self.epoch(fleet)
        granted = max(current, 1) if epoch is None else epoch
        if granted < current:
            raise KeyStoreError(f"epoch {granted} is too low: {fleet} is at epoch {current}")
        cwt = delegate(self._key, Delegation(request.public_key, vendor, granted, not_after))
        self._write_ledger(fleet, granted)
        return cwt

    def revoke(self, fleet: str) -> int:
        """Raise the fleet's epoch. A device rejects earlier delegations as soon as it sees one of the new epoch."""
        epoch = self.epoch(fleet) + 1
        self._write_ledger(fleet, epoch)
        return epoch

    def rotate_to(self, successor: Path) -> Rotation:
        """Sign the rotation to the root in another directory, and write it there."""
        before = 0
        if self._rotation.exists():
            before = describe_rotation(read_public(self._rotation))[1].number
        if (successor / ROTATION).exists():
            raise KeyStoreError(f"{successor / ROTATION} exists: this root already follows another one")
        rotation = Rotation(keys.read_public_key(successor / PEM), before + 1)
        write_public(successor / ROTATION, rotate(self._key, rotation))
        return rotation

    def _read_ledger(self) -> dict[str, int]:
        if not self._ledger.exists():
            return {}
        try:
            ledger = json.loads(read_public(self._ledger))
        except ValueError as error:
            raise KeyStoreError(f"{self._ledger} is damaged: restore it from a backup, or pass --epoch") from error
        if not isinstance(ledger, dict) or not all(isinstance(epoch, int) for epoch in ledger.values()):
            raise KeyStoreError(f"{self._ledger} is not a ledger of epochs")
        return ledger

    def _write_ledger(self, fleet: str, epoch: int) -> None:
        ledger = {**self._read_ledger(), fleet: epoch}
        write_public(self._ledger, json.dumps(ledger, indent=2, sort_keys=True).encode() + b"\n")
