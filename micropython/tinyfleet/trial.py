# SPDX-License-Identifier: Apache-2.0
"""A new package is tried: its golden vectors, then real input. It is confirmed, or given up."""

from tinyfleet import errors, running
from tinyfleet.device import GOLDEN, NO_JOB, RESET, RESTART, WATCH, Device
from tinyfleet.errors import Refused
from tinyfleet.state import EMPTY, PASSED, PREBAKED, TRIAL, VERIFIED

TRIAL_MS = 60_000


def fail(device: Device, error: int) -> None:
    """Record that the package has failed; what ran before is in force again."""
    state = device.state
    state.failed, state.error, state.result = device.digest_at(state.target), error, error
    state.rolled_back, state.trial_boots = 1, 0
    state.flags |= GOLDEN if error == errors.GOLDEN else RESET if error in {errors.RESET, errors.FAULT} else 0
    if state.target < PREBAKED:
        # Keep the package, since a newer envelope may ask for it again; but it is never a fallback.
        complete = state.phase == TRIAL and error != errors.IMAGE
        state.slot(state.target).status = VERIFIED if complete else EMPTY
    device.rest()


def reject(device: Device, error: int) -> None:
    """Give up the package that runs, and restart."""
    device.job = RESTART
    fail(device, error)  # saved before the restart: the next start must not try this package again


def confirm(device: Device) -> None:
    """Make the package on trial the confirmed one."""
    state = device.state
    if state.target < PREBAKED:
        state.slot(state.target).status = PASSED
    state.confirmed, state.result, state.error = state.target, errors.OK, errors.OK
    state.rolled_back = state.faults = state.flags = state.trial_boots = 0
    state.failed = b""
    if state.configured != device.running.digest:
        state.parameters = []  # they belong to the previous package
    device.running.why = running.CONFIRMED if state.target < PREBAKED else running.ASKED
    device.job = NO_JOB
    device.rest()


def try_golden(device: Device) -> None:
    """Check the next golden vector; after the last one, real input decides."""
    if device.done == device.running.golden_count():
        device.done, device.since = 0, device.port.ticks_ms()
        if device.port.trial_inferences == 0:
            confirm(device)
        else:
            device.job = WATCH
        return
    device.done += 1
    try:
        device.running.check_golden(device.done - 1)
    except Refused as refused:
        reject(device, refused.code)
