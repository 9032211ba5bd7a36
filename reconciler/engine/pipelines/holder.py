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

from reconciler.devices.conversation import Lost, Rejected, SessionOpened, StageRan
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import DeviceReport
from reconciler.devices.stage_messages import OpenSession
from reconciler.engine.clock import Clock
from reconciler.model import DeviceId
from reconciler.pipeline.patience import patience_s
from reconciler.pipeline.route import RoutedStage
from signing.cose import SigningKey
from signing.session import SessionTerms, open_session

log = logging.getLogger(__name__)

REMEMBERED = 100
SESSIONS = 1 << 32

Run = Coroutine[Any, Any, bytes | None]
RunLimit = Callable[[Run, float], Awaitable[bytes | None]]  # raises TimeoutError after seconds


def _ignored() -> None:
    """Nobody has to know."""


@dataclass(frozen=True, slots=True)
class HolderIdentity:
    """Who the device is, as signatures and keys name it."""

    device: DeviceId
    device_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class HolderPorts:
    """What a holder works with."""

    session_of: Callable[[DeviceId], LinkSession | None]
    report_of: Callable[[DeviceId], DeviceReport | None]
    signer: SigningKey
    clock: Clock
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
        self, identity: HolderIdentity, stage: RoutedStage, ports: HolderPorts, expected_s: float = 0.0
    ) -> None:
        self.identity = identity
        self.failed_at_s: float | None = None  # when it last failed to answer
        self._failed_first_s: float | None = None  # since it last answered
        self.runs = 0
        self._stage = stage
        self._ports = ports
        self._expected_s = expected_s  # predicted for one run
        self._session: DeviceSession | None = None
        self._last_number = 0
        self._report: DeviceReport | None = None  # newer than the inventory's
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
        report = self._ports.report_of(self.device)
        holds = report is not None and report.running == self._stage.digest16
        return HolderState.READY if holds else HolderState.PREPARING

    def is_lost(self, heal_after_s: float) -> bool:
        """Return whether it failed, and failed again so long after."""
        if self.failed_at_s is None or self._failed_first_s is None:
            return False
        return self.failed_at_s - self._failed_first_s >= heal_after_s

    def _is_usable(self, heal_after_s: float) -> bool:
        """Return whether it may be asked: it does not run another pack, and has not failed, or long enough ago."""
        report = self._ports.report_of(self.device)
        if report is not None and report.running != self._stage.digest16:
            return False  # it is about to get the pack
        return self.failed_at_s is None or self._ports.clock.steady_s() - self.failed_at_s >= heal_after_s

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
                self._session = None  # what was agreed before it failed may be lost
            began_s = self._ports.clock.steady_s()
            try:
                outputs = await self._ports.limited(self._run(inputs), patience_s(self._seconds, self._expected_s))
            except TimeoutError:
                outputs = None
            ended_s = self._ports.clock.steady_s()
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
                self._session = None
                return None
            self.runs += 1
            self._seconds.append(ended_s - began_s)
            return outputs

    async def _run(self, inputs: Sequence[bytes]) -> bytes | None:
        link = self._ports.session_of(self.device)
        if link is None:
            return None
        for _ in range(2):  # a device that restarted has lost the session, and says so
            session = self._session or await self._opened(link)
            if session is None:
                return None
            outcome = await link.run_stage(self.device, session, inputs, sum(self._stage.output_bytes))
            if isinstance(outcome, StageRan):
                return outcome.outputs
            log.info("stage %d on %s did not run: %s", self._stage.number, self.device, outcome)
            self._session = None
        return None

    async def _opened(self, link: LinkSession) -> DeviceSession | None:
        """Open a session with the pack that the stage needs; None: the device runs something else, or refuses."""
        report = self._report or self._ports.report_of(self.device)
        for _ in range(2):  # the number of its starts may have changed since it last reported
            if report is None:
                answered = await link.report(self.device)
                if isinstance(answered, Lost):
                    return None
                report = self._report = answered
            session = await self._try_to_open(link, report)
            if session is not None:
                return session
            report = None
        return None

    async def _try_to_open(self, link: LinkSession, report: DeviceReport) -> DeviceSession | None:
        if report.running != self._stage.digest16:
            return None
        number = max(self._last_number + 1, int(self._ports.clock.now().timestamp())) % SESSIONS
        self._last_number = number
        terms = SessionTerms(self.identity.device_id, report.boots, number, self._stage.digest16)
        opening, key = open_session(self._ports.signer, self.identity.public_key, terms)
        session = DeviceSession(number, key)
        question = OpenSession(number, terms.digest16, opening.peer, opening.signature)
        outcome = await link.open_session(self.device, question, session)
        if isinstance(outcome, SessionOpened):
            self._session = session
            return session
        if isinstance(outcome, Rejected) and outcome.code == DeviceErrorCode.SEQUENCE:
            self._last_number += 1  # a gateway whose clock was ahead has opened one before us
        return None
