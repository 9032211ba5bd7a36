# SPDX-License-Identifier: Apache-2.0
"""Unpacks a payload that is complete into its slot."""

from tinyfleet import errors, package, trial
from tinyfleet.device import NO_JOB, RESTART, UNPACK, Device
from tinyfleet.errors import Refused
from tinyfleet.heatshrink import Decoder
from tinyfleet.state import RECEIVING, STAGED, TRIAL, VERIFIED
from tinyfleet.transfer import HEATSHRINK


def order(device: Device, name: int) -> "int | None":
    """Carry out the order to stage; return a code, or None if blocks are missing."""
    state = device.state
    if name != state.name or state.sequence == 0:
        raise Refused(errors.NO_TRANSFER)
    if state.phase == RECEIVING:
        if device.job == NO_JOB and device.transfer.first_missing() < device.transfer.blocks():
            return None
        device.job = UNPACK
        return errors.WORKING
    if state.phase in {STAGED, TRIAL}:
        return errors.WORKING if state.phase == STAGED else errors.OK
    return errors.NO_TRANSFER if state.result == errors.WORKING else state.result


def _source(device: Device, file: object) -> object:
    slot = device.state.slot(device.state.target)
    return Decoder(file, slot.size) if device.state.encoding == HEATSHRINK else file


def unpack(device: Device) -> None:
    """From the payload to the files in the slot; the state that names them comes last."""
    state = device.state
    slot = state.slot(state.target)
    folder = device.root + "/" + device.folder(state.target)
    device.transfer.close()
    error = _payload_error(device, slot.digest, slot.size)
    if error != errors.OK:
        _reject_payload(device, error)
        return
    try:
        with open(device.transfer.path, "rb") as file:
            package.unpack(_source(device, file), folder)
        package.Config(folder)
    except OSError:
        _reject_payload(device, errors.FLASH)
        return
    except Refused as refused:
        trial.fail(device, refused.code)
        device.job = NO_JOB
        device.transfer.discard()
        return
    if not package.has_digest(folder, slot.digest, slot.size):
        _reject_payload(device, errors.FLASH)  # what was written does not read back
        return
    slot.status = VERIFIED
    state.phase, device.report_due, device.job = STAGED, True, RESTART
    device.save()
    device.transfer.discard()


def _payload_error(device: Device, digest: bytes, size: int) -> int:
    try:
        with open(device.transfer.path, "rb") as file:
            return errors.OK if package.digest_of(_source(device, file), size) == digest else errors.IMAGE
    except OSError:
        return errors.FLASH
    except Refused as refused:
        return refused.code


def _reject_payload(device: Device, error: int) -> None:
    """The order has failed: if the transfer started again, an attacker could wear out flash without end."""
    device.state.error = device.state.result = error
    device.close_transfer()
