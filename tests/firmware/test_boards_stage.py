# SPDX-License-Identifier: Apache-2.0
"""The emulated boards run the stage of a pipeline over their UART, exactly, and keep to the session after a reset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.devices.conversation import Rejected
from reconciler.devices.messages import TransferResult, encode, parse_answer
from reconciler.devices.stage_messages import FetchStage
from tests.firmware.bench import Bench, make_pack
from tests.firmware.board import Board, Machine
from tests.firmware.stages import HALF, open_with, opened, run_stage, stage_pack
from tests.firmware.talk import SerialDevice, digest16, job, report_of, update

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(240)]
ADDRESS, SESSION, SIGNATURE = 7, -95, -16
STAGE = stage_pack(0, HALF).data
REFERENCE = ReferenceInterpreter(STAGE)
OUTPUT_BYTES = sum(item.nbytes for item in REFERENCE.outputs)


def test_a_board_runs_a_stage(make_board: Callable[[bytes], Board], machine: Machine, bench: Bench) -> None:
    if machine.name == "nrf51-microbit":
        pytest.skip("this board links no stages: its RAM is small")
    made = bench.device("pump-1", address=ADDRESS)
    board = make_board(made.region(make_pack(1)))
    device = SerialDevice(board.uart, ADDRESS)
    before = report_of(device, made)
    update(device, made, job(made, bench.install(made, STAGE, before.sequence + 1), STAGE, before))
    assert report_of(device, made).running == digest16(STAGE)
    session = opened(device, bench, made, STAGE)
    for seed in (1, 2):
        given = generate_inputs(seed, REFERENCE.inputs)
        outputs = run_stage(device, made, session.session, list(given), OUTPUT_BYTES)
        assert outputs == b"".join(REFERENCE.run(given).outputs)
    board.kill()
    board.start()
    device = SerialDevice(board.uart, ADDRESS)
    assert report_of(device, made).boots > before.boots
    answer = device.ask(encode(FetchStage(1, 0, 600)))
    assert answer is not None
    assert parse_answer(answer) == TransferResult(None, SESSION)
    stale = open_with(device, bench, made, STAGE, 2, boots=before.boots)
    assert stale.outcome == Rejected(SIGNATURE, "opening a session")
    again = opened(device, bench, made, STAGE, 2)
    given = generate_inputs(3, REFERENCE.inputs)
    assert run_stage(device, made, again.session, list(given), OUTPUT_BYTES) == b"".join(REFERENCE.run(given).outputs)
