# SPDX-License-Identifier: Apache-2.0
"""A gateway that calls built-ins of one device: opens a session and calls."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.devices.conversation import BuiltinRan, Outcome, SessionOpened
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.operation_conversation import BuiltinCall
from reconciler.devices.stage_conversation import SessionOpeningConversation
from reconciler.devices.stage_messages import OpenSession
from reconciler.model import DeviceId
from signing.cose import SigningKey
from signing.session import CALLS, SessionKey, SessionTerms, open_session
from tests.firmware.bench import Bench, Made
from tests.firmware.talk import Device, hold, report_of

SENSE, SET_OUTPUT, STORE = 1, 2, 3  # the built-ins of virtual devices and boards (firmware/ports/shared/builtins.h)
SENSED_BYTES = 64


@dataclass
class Opened:
    """A session that was asked for, and how the device answered."""

    question: OpenSession
    session: DeviceSession
    key: SessionKey
    outcome: Outcome


def open_with(  # noqa: PLR0913 - what each refusal needs to differ in
    device: Device,
    bench: Bench,
    made: Made,
    number: int = 1,
    *,
    signer: SigningKey | None = None,
    boots: int | None = None,
) -> Opened:
    """Ask a device to open a session for calls."""
    since = report_of(device, made).boots if boots is None else boots
    terms = SessionTerms(made.target.device, since, number, CALLS)
    opening, key = open_session(signer or bench.gateway, made.identity.public, terms)
    question = OpenSession(number, CALLS, opening.peer, opening.signature)
    session = DeviceSession(number, key)
    outcome = hold(SessionOpeningConversation(DeviceId(made.name), question, session), device)
    return Opened(question, session, key, outcome)


def opened(device: Device, bench: Bench, made: Made, number: int = 1) -> Opened:
    """Open a session for calls."""
    given = open_with(device, bench, made, number)
    assert given.outcome == SessionOpened(), given.outcome
    return given


def call(device: Device, made: Made, session: DeviceSession, function: int, data: bytes = b"") -> BuiltinRan:
    """Call a built-in."""
    outcome = hold(BuiltinCall(DeviceId(made.name), session, function, data), device)
    assert isinstance(outcome, BuiltinRan), outcome
    return outcome
