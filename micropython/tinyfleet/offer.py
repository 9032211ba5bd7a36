# SPDX-License-Identifier: Apache-2.0
"""Carries out the envelope of an offer: parameters, a package that is already stored, or one that must travel."""

from hashlib import sha256

from tinyfleet import envelope, errors, report
from tinyfleet.device import RESTART, Device
from tinyfleet.errors import Refused
from tinyfleet.state import (
    CONFIRMED,
    IDLE,
    NONE,
    PREBAKED,
    RECEIVED,
    RECEIVING,
    SLOT_A,
    SLOT_B,
    STAGED,
    TRIAL,
    VERIFIED,
)
from tinyfleet.transfer import Shape


def accept(device: Device, data: bytes, shape: "Shape | None") -> "int | None":
    """Carry out the envelope of an offer; return a code, or None if its transfer is open."""
    state, digest = device.state, sha256(data).digest()
    if digest == state.envelope:
        return _repeat(device, shape)
    if state.phase not in {IDLE, CONFIRMED, RECEIVING} or device.job == RESTART:
        raise Refused(errors.BUSY)
    accepted = envelope.verify(data, device.trust())
    manifest = accepted.manifest
    if manifest.configure:
        return _configured(device, accepted, digest)
    place = _find(device, manifest)
    if place != NONE:
        return _activate(device, accepted, digest, place)
    if shape is None:
        raise Refused(errors.NO_PAYLOAD)
    return receive(device, accepted, digest, shape)


def _repeat(device: Device, shape: "Shape | None") -> "int | None":
    """Answer the last accepted envelope again: an answer was lost, or the device restarted."""
    state = device.state
    if state.result != errors.WORKING or state.phase in {STAGED, TRIAL}:
        return state.result
    if shape is None:
        raise Refused(errors.NO_PAYLOAD)
    if not shape.is_that_of(state):
        raise Refused(errors.NO_TRANSFER)
    state.name = shape.name  # not saved, so that replays under ever new names do not wear out flash
    if state.phase != RECEIVING:
        _open(device)
    return None


def record(device: Device, accepted: envelope.Accepted, digest: bytes, result: int) -> None:
    """Record what every accepted envelope changes. It is saved together with what this envelope asks for."""
    state, delegation = device.state, accepted.delegation
    state.sequence = accepted.manifest.sequence
    state.gateway, state.epoch, state.exp = delegation.key, delegation.epoch, delegation.exp
    state.envelope, state.result = digest, result
    if state.failed == accepted.manifest.digest:
        state.failed = b""  # a new try: the report must not give the verdict on the earlier one


def _keep(device: Device, accepted: envelope.Accepted, place: int) -> None:
    slot = device.state.slot(place)
    slot.envelope, slot.signer = accepted.kept, accepted.delegation.key
    slot.digest, slot.size = accepted.manifest.digest, accepted.manifest.size


def _configured(device: Device, accepted: envelope.Accepted, digest: bytes) -> int:
    manifest = accepted.manifest
    if not device.running.accepts(manifest.values):
        raise Refused(errors.PARAMETER)
    record(device, accepted, digest, errors.OK)
    device.state.configured, device.state.parameters = manifest.digest, manifest.values
    device.report_due = True
    device.save()
    device.running.configure(device.parameters_in_force())
    return errors.OK


def _find(device: Device, manifest: envelope.Manifest) -> int:
    """Return where this package is stored already."""
    for place in (SLOT_A, SLOT_B):
        slot = device.state.slot(place)
        if slot.status >= VERIFIED and (slot.digest, slot.size) == (manifest.digest, manifest.size):
            return place
    for number, entry in enumerate(device.identity["prebaked"]):
        if (entry["digest"], entry["size"]) == (manifest.digest, manifest.size):
            return PREBAKED + number
    return NONE


def _activate(device: Device, accepted: envelope.Accepted, digest: bytes, place: int) -> int:
    """The device already has the package: only the envelope had to travel."""
    state = device.state
    runs_already = place == state.confirmed and place == device.running.place
    if place < PREBAKED:
        _keep(device, accepted, place)
    record(device, accepted, digest, errors.OK if runs_already else errors.WORKING)
    if runs_already:
        device.save()
        return errors.OK
    device.empty_receiving()
    state.target, state.phase = place, STAGED
    device.job, device.report_due = RESTART, True
    device.save()
    device.transfer.discard()
    return errors.WORKING


def receive(device: Device, accepted: envelope.Accepted, digest: bytes, shape: Shape) -> None:
    """Begin the transfer of a package, or continue that of the same one."""
    state, manifest = device.state, accepted.manifest
    target = state.slot(state.target) if state.target < PREBAKED else None
    same = target is not None and (target.digest, target.size) == (manifest.digest, manifest.size)
    if state.phase == RECEIVING and same and shape.is_that_of(state):
        _keep(device, accepted, state.target)  # the blocks are good for this envelope too
        record(device, accepted, digest, errors.WORKING)
        state.name = shape.name
        device.save()
        return
    shape.check(manifest.size, device.identity["slot_bytes"], report.BLOCK_MAX)
    if state.phase == RECEIVING:
        device.close_transfer()
    record(device, accepted, digest, errors.WORKING)
    state.target = SLOT_B if SLOT_A in {device.running.place, state.confirmed} else SLOT_A
    _keep(device, accepted, state.target)
    state.encoding, state.payload_bytes, state.block_bytes = shape.encoding, shape.payload_bytes, shape.block_bytes
    state.name = shape.name
    _open(device)


def _open(device: Device) -> None:
    state = device.state
    device.transfer.discard()
    state.slot(state.target).status = RECEIVED
    state.phase, device.report_due = RECEIVING, True
    device.save()
    device.transfer.open(state, fresh=True)
