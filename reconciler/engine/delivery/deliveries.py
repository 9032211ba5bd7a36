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

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.error_codes import describe_failed_trial, describe_refusal
from reconciler.engine import log_context
from reconciler.engine.delivery.still_wanted import Purpose
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 900.0
JITTER = 0.25  # of the pause, so that a thousand devices that fell silent together don't come back together


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
            case Answered():
                return "answered"


@dataclass(frozen=True, slots=True)
class _RunningDelivery:
    label: str
    purpose: Purpose
    task: asyncio.Task[None]


@dataclass(slots=True)
class _Backoff:
    failures: int = 0
    not_before_s: float = 0.0
    why: str = ""
    refused: bool = False  # in the device's name


class Deliveries:
    """All updates in progress on this gateway. For the event loop's thread only."""

    def __init__(
        self, on_done: Callable[[Delivered], None], on_cancelled: Callable[[], None], jitter: random.Random
    ) -> None:
        self._on_done = on_done
        self._on_cancelled = on_cancelled
        self._jitter = jitter
        self._running: dict[DeviceId, _RunningDelivery] = {}
        self._backoffs: dict[DeviceId, _Backoff] = {}

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
        return {device: backoff.why for device, backoff in self._backoffs.items()}

    def is_running(self, device: DeviceId) -> bool:
        """Return whether a delivery to this device is in progress."""
        return device in self._running

    def may_start(self, device: DeviceId, now_s: float) -> bool:
        """Return whether a delivery to this device could start now."""
        backoff = self._backoffs.get(device)
        return device not in self._running and (backoff is None or now_s >= backoff.not_before_s)

    def next_try_in_s(self, now_s: float) -> float | None:
        """Return after how long a device that failed may be tried again; None: no device waits."""
        waits = [each.not_before_s - now_s for each in self._backoffs.values() if each.not_before_s > now_s]
        return min(waits, default=None)

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
        if device in self._backoffs and not self._backoffs[device].refused:
            del self._backoffs[device]

    def retry_all_now(self) -> None:
        """End all pauses but those after a refusal: a link is up again, and may have been the reason for the others."""
        self._backoffs = {device: backoff for device, backoff in self._backoffs.items() if backoff.refused}

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
                self._backoffs.pop(device, None)
            else:
                self._back_off(done)
            del self._running[device]
            self._on_done(done)

    def _clear(self, device: DeviceId, done: asyncio.Task[None]) -> None:
        """Clear away a cancelled delivery, even one whose task never ran; `_run` clears away all others."""
        running = self._running.get(device)
        if running is not None and running.task is done:
            del self._running[device]
            self._on_cancelled()

    def _back_off(self, done: Delivered) -> None:
        backoff = self._backoffs.setdefault(done.device, _Backoff())
        pause_s = min(FIRST_PAUSE_S * 2**backoff.failures, MAX_PAUSE_S)
        backoff.failures += 1
        backoff.why = done.message
        backoff.refused = isinstance(done.outcome, Rejected)
        backoff.not_before_s = asyncio.get_running_loop().time() + pause_s * (1 + self._jitter.uniform(0, JITTER))
