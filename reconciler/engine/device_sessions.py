# SPDX-License-Identifier: Apache-2.0
"""Keeps a session with one device: opens it when it is needed, and another one when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.devices.conversation import Lost, Rejected, SessionOpened
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.error_codes import DeviceErrorCode, describe_refusal
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import DeviceReport
from reconciler.devices.stage_messages import OpenSession
from reconciler.engine.clock import Clock
from reconciler.model import DeviceId
from signing.cose import SigningKey
from signing.session import CALLS, SessionTerms, open_session

SESSIONS = 1 << 32


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who the device is, as signatures and keys name it."""

    device: DeviceId
    device_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class SessionPorts:
    """What keeping a session needs."""

    session_of: Callable[[DeviceId], LinkSession | None]
    report_of: Callable[[DeviceId], DeviceReport | None]
    signer: SigningKey
    clock: Clock


class SessionKeeper:
    """The session with one device: for the stage with this digest, or for calls."""

    def __init__(self, identity: DeviceIdentity, ports: SessionPorts, digest16: bytes = CALLS) -> None:
        self.session: DeviceSession | None = None
        self.boots = 0  # of the device, when the session was opened
        self.failure = ""  # why there is none, after an attempt
        self._identity, self._ports, self._digest16 = identity, ports, digest16
        self._last_number = 0
        self._turn = asyncio.Lock()  # two that need a session must not open one each
        self._report: DeviceReport | None = None  # newer than the inventory's

    def forget(self) -> None:
        """Open another session before anything else is sent."""
        self.session = None

    async def opened(self, link: LinkSession) -> DeviceSession | None:
        """Return the session; None: the device runs another pack, does not answer, or refuses."""
        async with self._turn:
            return self.session or await self._opened(link)

    async def _opened(self, link: LinkSession) -> DeviceSession | None:
        device = self._identity.device
        self.failure = "it does not answer"
        known = [each for each in (self._report, self._ports.report_of(device)) if each is not None]
        report = max(known, key=lambda each: each.counter, default=None)
        for _ in range(2):  # the number of its starts may have changed since it last reported
            if report is None:
                answered = await link.report(device)
                if isinstance(answered, Lost):
                    return None
                report = self._report = answered
            session = await self._try_to_open(link, report)
            if session is not None:
                return session
            report = None
        return None

    async def _try_to_open(self, link: LinkSession, report: DeviceReport) -> DeviceSession | None:
        if self._digest16 not in {CALLS, report.running}:
            return None
        number = max(self._last_number + 1, int(self._ports.clock.now().timestamp())) % SESSIONS
        self._last_number = number
        terms = SessionTerms(self._identity.device_id, report.boots, number, self._digest16)
        opening, key = open_session(self._ports.signer, self._identity.public_key, terms)
        session = DeviceSession(number, key)
        question = OpenSession(number, terms.digest16, opening.peer, opening.signature)
        outcome = await link.open_session(self._identity.device, question, session)
        if isinstance(outcome, SessionOpened):
            self.session, self.boots = session, report.boots
            return session
        if isinstance(outcome, Rejected):
            self.failure = describe_refusal(outcome.code, outcome.during)
            if outcome.code == DeviceErrorCode.NO_DELEGATION:
                self.failure += "; it gets that with its first order"
            elif outcome.code == DeviceErrorCode.SEQUENCE:
                self._last_number += 1  # a gateway whose clock was ahead has opened one before us
        return None
