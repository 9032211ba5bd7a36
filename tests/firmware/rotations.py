# SPDX-License-Identifier: Apache-2.0
"""Rotations of a bench to another root."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.devices.messages import RotateRoot
from signing.cose import SigningKey
from signing.delegation import Delegation, delegate
from signing.identifiers import key_id
from signing.rotation import Rotation, rotate
from tests.firmware.bench import Bench


@dataclass(frozen=True)
class Turned:
    """A bench under another root: its envelopes carry a delegation by that root."""

    bench: Bench
    order: RotateRoot
    signer: bytes  # id of the root that signed it


def turned(bench: Bench, *, number: int = 1, epoch: int = 1, successor: SigningKey | None = None) -> Turned:
    """Sign a rotation with the root of a bench, and return the bench that follows."""
    after = Bench(bench.fleet)
    if successor is not None:
        after.root = successor
    grant = Delegation(after.gateway.public_key, after.vendor, epoch)
    after.delegation = delegate(after.root, grant)
    signed = rotate(bench.root, Rotation(after.root.public_key, number))
    return Turned(after, RotateRoot(signed, after.delegation), key_id(bench.root.public_key))
