# SPDX-License-Identifier: Apache-2.0
"""The emulated boards run built-ins over their UART, ask for an operation, and keep to the session after a reset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.devices.conversation import BuiltinRan, Rejected, ReplyHeard, Requested
from reconciler.devices.messages import TransferResult, encode, parse_answer
from reconciler.devices.operation_conversation import BuiltinCall, RequestReply
from reconciler.devices.operation_messages import POLL, TAKEN, call_builtin, reply_to_request
from reconciler.model import DeviceId
from tests.firmware.bench import Bench, make_pack
from tests.firmware.board import Board, Machine
from tests.firmware.operations import SENSE, SENSED_BYTES, SET_OUTPUT, STORE, call, open_with, opened
from tests.firmware.talk import SerialDevice, hold, job, report_of, update

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(240)]
ADDRESS, SESSION, SIGNATURE = 7, -95, -16
PUMP = DeviceId("pump-1")


def test_a_board_runs_built_ins_and_asks(make_board: Callable[[bytes], Board], machine: Machine, bench: Bench) -> None:
    if machine.name == "nrf51-microbit":
        pytest.skip("this board links no operations: its flash is small")
    made, pack = bench.device("pump-1", address=ADDRESS), make_pack(2)
    board = make_board(made.region(make_pack(1)))
    device = SerialDevice(board.uart, ADDRESS)
    before = report_of(device, made)
    update(device, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    session = opened(device, bench, made)
    window = call(device, made, session.session, SENSE)
    assert (window.code, len(window.data)) == (0, SENSED_BYTES)
    assert call(device, made, session.session, SET_OUTPUT, b"\x07") == BuiltinRan(0, b"\0")
    assert call(device, made, session.session, SET_OUTPUT, b"\x08") == BuiltinRan(0, b"\x07")
    assert call(device, made, session.session, STORE) == BuiltinRan(0, b"")
    asked = hold(BuiltinCall(PUMP, session.session, POLL), device)
    assert isinstance(asked, Requested)
    assert (asked.request.number, asked.request.operation, len(asked.request.data)) == (1, 1, SENSED_BYTES)
    for code in (TAKEN, 0):
        assert hold(RequestReply(PUMP, reply_to_request(session.key, 1, code)), device) == ReplyHeard()
    assert hold(BuiltinCall(PUMP, session.session, POLL), device) == BuiltinRan(0, b"")

    recorded = call_builtin(session.key, session.session.next_seq(), SET_OUTPUT, b"\x09")
    boots = report_of(device, made).boots
    board.kill()
    board.start()
    device = SerialDevice(board.uart, ADDRESS)
    assert report_of(device, made).boots > boots
    answer = device.ask(encode(recorded))
    assert answer is not None
    assert parse_answer(answer) == TransferResult(None, SESSION)
    assert open_with(device, bench, made, 2, boots=boots).outcome == Rejected(SIGNATURE, "opening a session")
    again = opened(device, bench, made, 2)
    assert call(device, made, again.session, SET_OUTPUT, b"\x0a") == BuiltinRan(0, b"\0")
