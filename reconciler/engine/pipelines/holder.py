# SPDX-License-Identifier: Apache-2.0
"""A device that holds a stage of a pipeline: keeps a session with it, and has it run inputs, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Any

from reconciler.devices.conversation import StageRan
from reconciler.engine.device_sessions import DeviceIdentity, SessionKeeper, SessionPorts
from reconciler.model import DeviceId
from reconciler.pipeline.patience import patience_s
from reconciler.pipeline.route import RoutedStage

log = logging.getLogger(__name__)

REMEMBERED = 100

Run = Coroutine[Any, Any, bytes | None]
RunLimit = Callable[[Run, float], Awaitable[bytes | None]]  # raises TimeoutError after seconds


def _ignored() -> None:
    """Nobody has to know."""


@dataclass(frozen=True, slots=True)
class HolderPorts:
    """What a holder works with."""

    sessions: SessionPorts
    on_change: Callable[[], None] = _ignored  # whether the device answers
    limited: RunLimit = asyncio.wait_for


class HolderState(Enum):
    """What is known of a device without asking it."""

    READY = "ready"
    PREPARING = "preparing"  # it does not hold the stage yet, or has not reported
    FAILED = "failed"  # it did not answer when it was last asked


class StageHolder:
    """One device with one stage."""

    def __init__(
        self, identity: DeviceIdentity, stage: RoutedStage, ports: HolderPorts, expected_s: float = 0.0
    ) -> None:
        self.identity = identity
        self.failed_at_s: float | None = None  # when it last failed to answer
        self._failed_first_s: float | None = None  # since it last answered
        self.runs = 0
        self._stage = stage
        self._ports = ports
        self._expected_s = expected_s  # predicted for one run
        self._keeper = SessionKeeper(identity, ports.sessions, stage.digest16)
        self._turn = asyncio.Lock()
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def device(self) -> DeviceId:
        """The device."""
        return self.identity.device

    @property
    def typical_s(self) -> float | None:
        """The median time of its last runs; None: there were none."""
        return median(self._seconds) if self._seconds else None

    @property
    def state(self) -> HolderState:
        """What is known of it."""
        if self.failed_at_s is not None:
            return HolderState.FAILED
        report = self._ports.sessions.report_of(self.device)
        holds = report is not None and report.running == self._stage.digest16
        return HolderState.READY if holds else HolderState.PREPARING

    def is_lost(self, heal_after_s: float) -> bool:
        """Return whether it failed, and failed again that long after."""
        if self.failed_at_s is None or self._failed_first_s is None:
            return False
        return self.failed_at_s - self._failed_first_s >= heal_after_s

    def _is_usable(self, heal_after_s: float) -> bool:
        """Return whether it may be asked: it does not run another pack, and has not failed, or long enough ago."""
        report = self._ports.sessions.report_of(self.device)
        if report is not None and report.running != self._stage.digest16:
            return False  # it is about to get the pack
        return self.failed_at_s is None or self._ports.sessions.clock.steady_s() - self.failed_at_s >= heal_after_s

    async def run(self, inputs: Sequence[bytes], heal_after_s: float) -> bytes | None:
        """Return the outputs of the stage; None: the device is not usable, or did not give any and counts as failed.

        Only one input waits for a device that falls silent, or that is tried again. The others go another way at once.
        """
        if self.failed_at_s is not None and self._turn.locked():
            return None
        async with self._turn:
            if not self._is_usable(heal_after_s):
                return None  # perhaps it fell silent meanwhile
            if self.failed_at_s is not None:
                self._keeper.forget()  # what was agreed before it failed may be lost
            began_s = self._ports.sessions.clock.steady_s()
            try:
                outputs = await self._ports.limited(self._run(inputs), patience_s(self._seconds, self._expected_s))
            except TimeoutError:
                outputs = None
            ended_s = self._ports.sessions.clock.steady_s()
            changes = (outputs is None) != (self.failed_at_s is not None)
            self.failed_at_s = ended_s if outputs is None else None
            if changes:
                self._failed_first_s = self.failed_at_s
                log.warning(
                    "stage %d: %s %s", self._stage.number, self.device, "answers again" if outputs else "is silent"
                )
            if changes or outputs is None:
                self._ports.on_change()
            if outputs is None:
                self._keeper.forget()
                return None
            self.runs += 1
            self._seconds.append(ended_s - began_s)
            return outputs

    async def _run(self, inputs: Sequence[bytes]) -> bytes | None:
        link = self._ports.sessions.session_of(self.device)
        if link is None:
            return None
        for _ in range(2):  # a device that restarted has lost the session, and says so
            session = await self._keeper.opened(link)
            if session is None:
                return None
            outcome = await link.run_stage(self.device, session, inputs, self._stage.output_bytes)
            if isinstance(outcome, StageRan):
                return outcome.outputs
            log.info("stage %d on %s did not run: %s", self._stage.number, self.device, outcome)
            self._keeper.forget()
        return None
