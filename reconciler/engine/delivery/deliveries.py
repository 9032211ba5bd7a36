# SPDX-License-Identifier: Apache-2.0
"""The updates in progress: at most one for each device, started by a pass, with a growing pause after each failure.

A delivery ends on its own, or is cancelled when it is no longer wanted. The device keeps what it has received, and a
later delivery of the same pack resumes from there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from reconciler.devices.conversation import (
    Answered,
    Confirmed,
    Lost,
    Outcome,
    Rejected,
    RotationAnswered,
    SessionOutcome,
    TrialFailed,
)
from reconciler.devices.error_codes import describe_failed_trial, describe_refusal
from reconciler.engine import log_context
from reconciler.engine.backoff import Backoff
from reconciler.engine.delivery.still_wanted import Purpose
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 900.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a delivery ended."""

    device: DeviceId
    subject: str  # what was delivered, in a word: the log and the results of commands state it with its outcome
    outcome: Outcome

    @property
    def good(self) -> bool:
        """Return whether the device now runs what was delivered."""
        return isinstance(self.outcome, Confirmed)

    @property
    def message(self) -> str:
        """Describe the outcome in a few words."""
        match self.outcome:
            case Confirmed(report):
                return f"confirmed, sequence {report.sequence}"
            case Lost(why):
                return f"lost: {why}"
            case Rejected(code, during):
                return describe_refusal(code, during)
            case TrialFailed(report):
                return describe_failed_trial(report.error)
            case Answered() | SessionOutcome() | RotationAnswered():
                return "answered"


@dataclass(frozen=True, slots=True)
class _RunningDelivery:
    label: str
    purpose: Purpose
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    refused: bool  # in the device's name


class Deliveries:
    """All updates in progress on this gateway. For the event loop's thread only."""

    def __init__(
        self, on_done: Callable[[Delivered], None], on_cancelled: Callable[[], None], jitter: random.Random
    ) -> None:
        self._on_done = on_done
        self._on_cancelled = on_cancelled
        self._running: dict[DeviceId, _RunningDelivery] = {}
        self._failures: dict[DeviceId, _Failure] = {}  # the last one of each device that has not been updated since
        self._backoff: Backoff[DeviceId] = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S, jitter)

    @property
    def running(self) -> Mapping[DeviceId, str]:
        """Return the label of each delivery in progress, by device."""
        return {device: running.label for device, running in self._running.items()}

    @property
    def purposes(self) -> Mapping[DeviceId, Purpose]:
        """Return what each delivery in progress is for, by device."""
        return {device: running.purpose for device, running in self._running.items()}

    @property
    def waiting(self) -> Mapping[DeviceId, str]:
        """Return why devices wait for another try, by device."""
        return {device: failure.why for device, failure in self._failures.items()}

    def is_running(self, device: DeviceId) -> bool:
        """Return whether a delivery to this device is in progress."""
        return device in self._running

    def may_start(self, device: DeviceId, now_s: float) -> bool:
        """Return whether a delivery to this device could start now."""
        return device not in self._running and self._backoff.may_try(device, now_s)

    def next_try_in_s(self, now_s: float) -> float | None:
        """Return after how long a device that failed may be tried again; None: no device waits."""
        waiting = [device for device in self._failures if not self._backoff.may_try(device, now_s)]
        return self._backoff.next_try_in_s(waiting, now_s)

    def start(self, device: DeviceId, label: str, purpose: Purpose, work: Callable[[], Awaitable[Outcome]]) -> None:
        """Start a delivery; `label` says in a few words what is still to be done."""
        task = asyncio.create_task(self._run(device, str(purpose), work), name=f"deliver {device}")
        self._running[device] = _RunningDelivery(label, purpose, task)
        task.add_done_callback(lambda done: self._clear(device, done))

    def cancel(self, device: DeviceId, why: str) -> None:
        """Cancel a delivery that is no longer wanted. It ends later, and then a pass is due."""
        running = self._running.get(device)
        if running is not None and not running.task.cancelling():
            with log_context.about(device):
                log.info("cancelled %s: %s", running.purpose, why)
            running.task.cancel()

    def retry_now(self, device: DeviceId) -> None:
        """End the pause of a device that has come back. After a refusal in its name the pause continues."""
        if device in self._failures and not self._failures[device].refused:
            self._forget_failures(device)

    def retry_all_now(self) -> None:
        """End all pauses but those after a refusal: a link is up again, and may have been the reason for the others."""
        self._failures = {device: failure for device, failure in self._failures.items() if failure.refused}
        self._backoff.forget_others(self._failures)

    async def stop(self) -> None:
        """Cancel all deliveries and wait for their end."""
        await cancel_and_wait([running.task for running in self._running.values()])

    async def _run(self, device: DeviceId, subject: str, work: Callable[[], Awaitable[Outcome]]) -> None:
        with log_context.about(device):
            try:
                outcome = await work()
            except Exception:
                log.exception("%s: a bug; the device is left as it is for now", subject)
                outcome = Lost("a bug of the gateway, see its log")
            done = Delivered(device, subject, outcome)
            if done.good:
                self._forget_failures(device)
            else:
                self._failures[device] = _Failure(done.message, isinstance(outcome, Rejected))
                self._backoff.failed(device, asyncio.get_running_loop().time())
            del self._running[device]
            self._on_done(done)

    def _clear(self, device: DeviceId, done: asyncio.Task[None]) -> None:
        """Clear away a cancelled delivery, even one whose task never ran; `_run` clears away all others."""
        running = self._running.get(device)
        if running is not None and running.task is done:
            del self._running[device]
            self._on_cancelled()

    def _forget_failures(self, device: DeviceId) -> None:
        self._failures.pop(device, None)
        self._backoff.forget(device)
