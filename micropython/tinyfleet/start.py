# SPDX-License-Identifier: Apache-2.0
"""Chooses what runs after a start: the package on trial, the confirmed one, the one before it, or a pre-baked one."""

from tinyfleet import envelope, errors, package, running, trial
from tinyfleet.device import GOLDEN, INFERENCE, JOURNAL, RESET, SLOT, TRY, Device
from tinyfleet.errors import Refused
from tinyfleet.state import (
    CONFIRMED,
    EMPTY,
    IDLE,
    NONE,
    PASSED,
    PREBAKED,
    RECEIVING,
    SLOT_A,
    SLOT_B,
    STAGED,
    TRIAL,
    VERIFIED,
)

TRIAL_BOOTS = 2
FAULTS_MAX = 5


def boot(device: Device) -> None:
    """Choose what to run. The start is counted, in flash, before a package runs that may never return."""
    if device.files.damaged:
        device.flags |= JOURNAL
    if device.state.phase == RECEIVING:
        device.transfer.open(device.state, fresh=False)
    else:
        device.transfer.discard()
    try:
        _count_boot(device)
    except Refused as refused:
        device.state.error = refused.code  # a full or worn-out file system must not keep the device from starting
    for candidate in (start_trial, _start_confirmed, _start_previous, _start_prebaked):
        if candidate(device):
            return


def _count_boot(device: Device) -> None:
    state, fault = device.state, device.port.was_fault
    state.boots += 1
    device.flags |= INFERENCE if fault else 0
    if state.phase == STAGED:
        state.trial_boots = 1
        state.flags &= ~(GOLDEN | RESET)
        state.phase = TRIAL
        device.save()
        return
    if state.phase == TRIAL:
        state.trial_boots += 1
        device.save()
        if fault or state.trial_boots > TRIAL_BOOTS:
            trial.fail(device, errors.FAULT if fault else errors.RESET)
        return
    if fault:
        state.faults += 1
        if state.faults >= FAULTS_MAX:
            state.faults = 0
            if state.confirmed != NONE:
                _reject_confirmed(device)
    device.save()


def _reject_confirmed(device: Device) -> None:
    """Give up a package that keeps faulting: it would keep the device from ever receiving a better one."""
    state = device.state
    state.failed, state.error, state.rolled_back = device.digest_at(state.confirmed), errors.FAULT, 1
    if state.confirmed < PREBAKED:
        state.slot(state.confirmed).status = VERIFIED
    state.confirmed = NONE
    state.phase = IDLE if state.phase == CONFIRMED else state.phase


def start_trial(device: Device) -> bool:
    """Start the package that is on trial, if there is one."""
    if device.state.phase != TRIAL:
        return False
    try:
        _start(device, device.state.target, running.TRIAL)
    except Refused as refused:
        trial.fail(device, refused.code)
        return False
    device.job = TRY
    return True


def _start_confirmed(device: Device) -> bool:
    place = device.state.confirmed
    if place == NONE:
        return False
    usual = running.CONFIRMED if place < PREBAKED else running.ASKED
    why = running.PREVIOUS if device.state.rolled_back else usual
    return _try_to_start(device, place, why)


def _start_previous(device: Device) -> bool:
    """Run a slot that once passed its trial, when the newer one can't run."""
    state = device.state
    for place in (SLOT_A, SLOT_B):
        if state.slot(place).status == PASSED and _try_to_start(device, place, running.PREVIOUS):
            state.confirmed = place
            state.phase = CONFIRMED if state.phase == IDLE else state.phase
            device.save()
            return True
    return False


def _start_prebaked(device: Device) -> bool:
    count = len(device.identity["prebaked"])
    return any(_try_to_start(device, PREBAKED + number, running.NO_SLOT) for number in range(count))


def _try_to_start(device: Device, place: int, why: int) -> bool:
    try:
        _start(device, place, why)
    except Refused as refused:
        if place < PREBAKED:
            _empty_slot(device, place, refused.code)
        return False
    return True


def _empty_slot(device: Device, place: int, error: int) -> None:
    """Make sure that nothing falls back to a slot that does not hold what its envelope says."""
    state = device.state
    state.flags |= SLOT
    state.error, state.rolled_back, state.failed = error, 1, state.slot(place).digest
    state.slot(place).status = EMPTY
    if state.confirmed == place:
        state.confirmed = NONE
        state.phase = IDLE if state.phase == CONFIRMED else state.phase
    device.save()


def _start(device: Device, place: int, why: int) -> None:
    """Verify what is stored at a place, and load it; nothing of it runs before its digest is right."""
    device.running.stop()
    name = device.folder(place)
    folder = device.root + "/" + name
    if place < PREBAKED:
        slot = device.state.slot(place)
        digest, size = slot.digest, slot.size
        if size > device.identity["slot_bytes"]:
            raise Refused(errors.TOO_LARGE)
        envelope.verify_kept(slot.envelope, slot.signer, device.trust(), digest, size)
    else:
        entry = device.identity["prebaked"][place - PREBAKED]
        digest, size = entry["digest"], entry["size"]
    if not package.has_digest(folder, digest, size):
        raise Refused(errors.IMAGE)
    device.running.start(device.root, name, place, why, digest)
    device.running.configure(device.parameters_in_force())
