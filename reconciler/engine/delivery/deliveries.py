# SPDX-License-Identifier: Apache-2.0
"""Updates under way: at most one per device, begun by a pass, with a pause after each failure.

They end on their own, or are called off when they are no longer wanted: the device keeps what it holds, and a later
delivery of the same goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.error_codes import refused, trial_failed
from reconciler.engine import trace
from reconciler.engine.tasks import cancel_and_wait
from reconciler.model import DeviceId, ModelRef, Parameters, RolloutId

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 900.0
JITTER = 0.25  # of the pause, so that a thousand devices that fell silent together don't come back together


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a delivery ended."""

    device: DeviceId
    label: str
    outcome: Outcome

    @property
    def good(self) -> bool:
        """Tell whether the device now is as it was to be."""
        return isinstance(self.outcome, Confirmed)

    @property
    def words(self) -> str:
        """Say in a few words how it ended."""
        match self.outcome:
            case Confirmed(report):
                return f"confirmed, sequence {report.sequence}"
            case Lost(why):
                return f"lost: {why}"
            case Rejected(code, during):
                return refused(code, during)
            case TrialFailed(report):
                return trial_failed(report.error)
            case Answered():
                return "answered"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a delivery is for: it goes on as long as just this is wanted."""

    rollout: RolloutId
    model: ModelRef | None  # None: the parameters alone
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class _RunningDelivery:
    label: str
    purpose: Purpose
    task: asyncio.Task[None]


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    not_before_s: float = 0.0
    why: str = ""


class Deliveries:
    """All updates under way on this gateway."""

    def __init__(
        self, on_done: Callable[[Delivered], None], on_called_off: Callable[[], None], jitter: random.Random
    ) -> None:
        self._on_done = on_done
        self._on_called_off = on_called_off
        self._jitter = jitter
        self._running: dict[DeviceId, _RunningDelivery] = {}
        self._troubles: dict[DeviceId, _Trouble] = {}

    @property
    def running(self) -> Mapping[DeviceId, str]:
        """Return what is under way, by device."""
        return {device: running.label for device, running in self._running.items()}

    @property
    def purposes(self) -> Mapping[DeviceId, Purpose]:
        """Return what is under way for what, by device."""
        return {device: running.purpose for device, running in self._running.items()}

    @property
    def waiting(self) -> Mapping[DeviceId, str]:
        """Return why devices wait for another try, by device."""
        return {device: trouble.why for device, trouble in self._troubles.items()}

    def may_start(self, device: DeviceId, now_s: float) -> bool:
        """Tell whether a delivery to this device could begin now."""
        trouble = self._troubles.get(device)
        return device not in self._running and (trouble is None or now_s >= trouble.not_before_s)

    def next_try_in_s(self, now_s: float) -> float | None:
        """Return after how long a device that failed may be tried again; None: none waits."""
        waits = [each.not_before_s - now_s for each in self._troubles.values() if each.not_before_s > now_s]
        return min(waits, default=None)

    def start(self, device: DeviceId, label: str, purpose: Purpose, work: Callable[[], Awaitable[Outcome]]) -> None:
        """Begin one; `label` says what it is for, in a few words."""
        task = asyncio.create_task(self._run(device, label, work), name=f"deliver {device}")
        self._running[device] = _RunningDelivery(label, purpose, task)
        task.add_done_callback(lambda ended: self._clear(device, cancel_and_wait))

    def cancel(self, device: DeviceId, why: str) -> None:
        """End one that is no longer wanted."""
        running = self._running.get(device)
        if running is not None and not running.task.cancelling():
            with trace.about(device):
                log.info("called off (%s): %s", running.label, why)
            running.task.cancel()

    def forgive(self, device: DeviceId) -> None:
        """Try again at once: the device has come back, or Git has changed."""
        self._troubles.pop(device, None)

    def forgive_all(self) -> None:
        """Try all again at once: a link is back, and it may have been the link."""
        self._troubles.clear()

    async def stop(self) -> None:
        """Cut everything off; devices keep what they hold, and a later delivery goes on from there."""
        await cancel_and_wait([running.task for running in self._running.values()])

    async def _run(self, device: DeviceId, label: str, work: Callable[[], Awaitable[Outcome]]) -> None:
        with trace.about(device):
            try:
                outcome = await work()
            except Exception:
                log.exception("%s: a bug; the device is left as it is for now", label)
                outcome = Lost("a bug of the gateway, see its log")
            done = Delivered(device, label, outcome)
            if done.good:
                self._troubles.pop(device, None)
            else:
                self._pause(device, done.words)
            del self._running[device]
            self._on_done(done)

    def _clear(self, device: DeviceId, ended: asyncio.Task[None]) -> None:
        """Make room for the next one, also after one that was called off before it ran at all."""
        running = self._running.get(device)
        if running is not None and running.task is cancel_and_wait:
            del self._running[device]
            self._on_called_off()

    def _pause(self, device: DeviceId, why: str) -> None:
        trouble = self._troubles.setdefault(device, _Trouble())
        pause_s = min(FIRST_PAUSE_S * 2**trouble.failures, LONGEST_PAUSE_S)
        trouble.failures += 1
        trouble.why = why
        trouble.not_before_s = asyncio.get_running_loop().time() + pause_s * (1 + self._jitter.uniform(0, JITTER))
