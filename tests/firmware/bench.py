# SPDX-License-Identifier: Apache-2.0
"""Makes devices and signs envelopes: a root, a gateway with its delegation, and devices with their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.flash_image import Identity, provisioned_region
from reconciler.errors import Refused
from signing import delegation, envelope, identifiers, keys, report
from signing.cose import SigningKey
from signing.verification_error import VerificationError

ENGINE = identifiers.EngineContract(pack_format=1, operators=frozenset({"THRESHOLD"}))


@dataclass(frozen=True)
class Made:
    """A device, as the factory knows it."""

    identity: Identity
    target: identifiers.EnvelopeTarget

    @property
    def name(self) -> str:
        return self.identity.name

    def region(self, *prebaked: bytes) -> bytes:
        """The provisioned region, with which its flash starts."""
        return provisioned_region(self.identity, prebaked)

    def open_signed(self, cose: bytes, nonce: bytes) -> bytes:
        """Verify a signed message of the device."""
        try:
            return report.verify_signed(cose, self.identity.public, self.target.device, nonce)
        except VerificationError as refused:
            raise Refused(str(refused)) from refused


class Bench:
    """The root and the gateway of one fleet."""

    def __init__(self, fleet: str) -> None:
        self.fleet = fleet
        self.root: SigningKey = keys.generate()
        self.gateway = keys.generate()
        self.vendor = identifiers.vendor_id(fleet)
        self.delegation = delegation.delegate(
            self.root, delegation.Delegation(self.gateway.public_key, self.vendor, epoch=1)
        )

    def device(self, name: str, *, address: int = 0) -> Made:
        """Make a device; its key follows from its name, so that a test can make it again."""
        target = identifiers.target(self.fleet, name, ENGINE)
        identity = Identity(
            vendor=target.vendor,
            class_id=target.klass,
            device=target.device,
            root_public=self.root.public_key,
            seed=hashlib.sha256(f"{self.fleet}/{name}".encode()).digest(),
            type_name="bench",
            fleet=self.fleet,
            name=name,
            address=address,
        )
        return Made(identity, target)

    def install(self, made: Made, pack: bytes, sequence: int, *, signer: SigningKey | None = None) -> bytes:
        """Sign an envelope that installs a pack."""
        order = envelope.InstallOrder(sequence, hashlib.sha256(pack).digest(), len(pack))
        return envelope.make(signer or self.gateway, made.target, order, self.delegation)

    def configure(self, made: Made, pack: bytes, sequence: int, values: Mapping[int, int]) -> bytes:
        """Sign an envelope that sets parameters of the running pack."""
        order = envelope.ConfigureOrder(sequence, hashlib.sha256(pack).digest(), values)
        return envelope.make(self.gateway, made.target, order, self.delegation)


def make_pack(seed: int, *, inputs: int = 32, vectors: int = 1) -> bytes:
    """Make a pack of kind 0 that differs with the seed; a larger one with more inputs and golden vectors."""
    weights = [(seed * 31 + i * 7) % 23 - 11 for i in range(inputs)]
    samples = [[(seed + i * 13 + j * 5) % 200 - 100 for i in range(inputs)] for j in range(vectors)]
    return build_threshold_pack(weights, threshold=1000 + seed, element=ElementType.INT8, inputs=samples)


def make_failing_pack(seed: int, *, inputs: int = 32, vectors: int = 1) -> bytes:
    """Make a well-formed pack whose last golden vector expects another output than the model gives."""
    pack = bytearray(make_pack(seed, inputs=inputs, vectors=vectors))
    right = bytes(pack)
    score_at = _golden_score_at(right)
    pack[score_at] ^= 1
    return bytes(pack)


def _golden_score_at(pack: bytes) -> int:
    """Find the score of the golden output: the last four bytes of the golden section."""
    count = pack[6]
    sections = [int.from_bytes(pack[16 + 4 * i : 20 + 4 * i], "little") for i in range(count)]
    at = 16 + 4 * count
    for section in sections:
        number, length = section >> 24, section & 0xFFFFFF
        if number == 8:
            return at + length - 4
        at += (length + 3) // 4 * 4
    raise ValueError("the pack has no golden vectors")
