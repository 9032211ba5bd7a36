# SPDX-License-Identifier: Apache-2.0
"""Verifies an envelope exactly as a device does, step by step in the same order (docs/specs/envelope.md section 5).

Only the outer frame is parsed before the signature is verified; the manifest is parsed afterwards. The numbers of the
steps are those of the specification.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from signing import cose
from signing.cbor import MAP, CborReader
from signing.delegation import Delegation, read_delegation
from signing.envelope import ENVELOPE_TAG, MAX_ENVELOPE_BYTES, MAX_SEQUENCE_JUMP, InstallOrder, Order
from signing.identifiers import EnvelopeTarget
from signing.manifest import Manifest, read_manifest
from signing.verification_error import VerificationCode, require

WITH_DELEGATION = 3


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of a device when an envelope arrives."""

    root_key: bytes
    target: EnvelopeTarget
    slot_bytes: int
    sequence: int = 0  # the highest accepted so far
    held: Delegation | None = None
    running: bytes | None = None  # digest of the running pack
    now: int | None = None  # seconds since 1970; None for a device without a clock


@dataclass(frozen=True, slots=True)
class AcceptedOrder:
    """An order to carry out, and the delegation that the device holds from now on."""

    order: Order
    delegation: Delegation


@dataclass(frozen=True, slots=True)
class EnvelopeFrame:
    """The outer parts of an envelope. Nothing in it is trusted yet."""

    chain: bytes | None  # the delegation chain
    manifest_digest: bytes
    signature: cose.CoseMessage
    manifest: bytes
    wrapped_manifest: bytes  # with its CBOR head, as the digest covers it


def verify(envelope: bytes, state: DeviceState) -> AcceptedOrder:
    """Accept an envelope as the device would, or raise VerificationError with the device's code."""
    frame = read_frame(envelope)  # V1 to V3
    require(
        hashlib.sha256(frame.wrapped_manifest).digest() == frame.manifest_digest,
        VerificationCode.DIGEST,
        "the manifest does not match the signed digest",
    )  # V4
    delegation = _delegation(frame, state)  # V5 to V12
    _check_signature(frame, delegation)  # V13, V14
    manifest = read_manifest(frame.manifest)  # V15
    _check_target(manifest, state)  # V16 to V18
    _check_order(manifest.order, state)  # V19 to V22
    return AcceptedOrder(manifest.order, delegation)


def read_frame(envelope: bytes) -> EnvelopeFrame:
    """V1 to V3: parse the envelope as far as is necessary to find the signature."""
    require(len(envelope) <= MAX_ENVELOPE_BYTES, VerificationCode.TOO_LONG, f"{len(envelope)} bytes")
    reader = CborReader(envelope)
    reader.tag(ENVELOPE_TAG)
    chain = None
    if reader.count_of(MAP, (2, WITH_DELEGATION)) == WITH_DELEGATION:
        reader.constants(1)
        chain = reader.byte_string()
    reader.constants(2)
    authentication = reader.inner()
    reader.constants(3)
    start = reader.at
    manifest = reader.byte_string()
    reader.end()

    authentication.array(2)
    manifest_digest = cose.read_digest(authentication.inner())
    signature = cose.read(authentication.inner(), cose.SIGN1_TAG, detached=True)
    authentication.end()
    return EnvelopeFrame(chain, manifest_digest, signature, manifest, wrapped_manifest=envelope[start:])


def _delegation(frame: EnvelopeFrame, state: DeviceState) -> Delegation:
    """V5 to V12: find the delegation that applies to this envelope."""
    if frame.chain is not None:
        delegation = read_delegation(only_delegation(CborReader(frame.chain)), state.root_key)
        require(delegation.vendor == state.target.vendor, VerificationCode.FLEET, "the delegation is for another fleet")
        held_epoch = state.held.epoch if state.held else 0
        require(
            delegation.epoch >= held_epoch,
            VerificationCode.REVOKED,
            f"epoch {delegation.epoch}, the device has seen {held_epoch}",
        )
    else:
        require(state.held is not None, VerificationCode.NO_DELEGATION, "no delegation in the envelope, and none held")
        assert state.held is not None  # noqa: S101 - for the type checker
        delegation = state.held
    if state.now is not None and delegation.not_after is not None:
        require(state.now <= delegation.not_after, VerificationCode.EXPIRED, f"expired at {delegation.not_after}")
    return delegation


def _check_signature(frame: EnvelopeFrame, delegation: Delegation) -> None:
    """V13, V14: signed by the delegated key."""
    kid = frame.signature.key_id
    require(
        kid == delegation.key_id,
        VerificationCode.SIGNER,
        f"signed by {kid.hex()}, the delegation is for {delegation.key_id.hex()}",
    )
    payload = cose.suit_digest(frame.manifest_digest)
    signed = cose.is_signed_by(delegation.gateway_key, frame.signature, payload)
    require(signed, VerificationCode.SIGNATURE, "the signature is wrong")


def _check_target(manifest: Manifest, state: DeviceState) -> None:
    """V16 to V18: the order is for this fleet, this engine and this device."""
    if isinstance(manifest.order, InstallOrder):
        require(manifest.vendor == state.target.vendor, VerificationCode.VENDOR, "for another fleet")
        require(manifest.klass == state.target.klass, VerificationCode.CLASS, "for another engine")
    require(manifest.device == state.target.device, VerificationCode.DEVICE, "for another device")


def _check_order(order: Order, state: DeviceState) -> None:
    """V19 to V22: the order is newer than any accepted so far, and the device can carry it out."""
    require(
        order.sequence > state.sequence,
        VerificationCode.SEQUENCE,
        f"{order.sequence}, already accepted {state.sequence}",
    )
    jump = order.sequence - state.sequence
    require(jump <= MAX_SEQUENCE_JUMP, VerificationCode.SEQUENCE_JUMP, f"{jump} ahead")
    if isinstance(order, InstallOrder):
        require(
            order.size <= state.slot_bytes,
            VerificationCode.SIZE,
            f"{order.size} bytes, the slot has {state.slot_bytes}",
        )
    else:
        require(order.digest == state.running, VerificationCode.MODEL, "parameters for a pack that is not running")


def only_delegation(chain: CborReader) -> bytes:
    """Read the delegation chain, which has exactly one link: root to gateway."""
    chain.array(1)
    chain.array(1)
    cwt = chain.byte_string()
    chain.end()
    return cwt
