# SPDX-License-Identifier: Apache-2.0
"""The emulated boards keep samples of their own sensor in their own flash, and answer a pull over their UART."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.messages import SampleSpace
from reconciler.devices.reports import SamplesAttestation
from tests.firmware.bench import Bench
from tests.firmware.board import Board
from tests.firmware.samples import attest, context_of, kept, pull_all, with_sample_every
from tests.firmware.talk import SerialDevice

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
ADDRESS = 7
# The sensor's samples are 0 ... 39: their sum is above the threshold, or never is.
ALARMED = build_threshold_pack([1] * 40, threshold=0, element=ElementType.INT16)
CALM = with_sample_every(build_threshold_pack([1] * 40, threshold=1 << 20, element=ElementType.INT16), 2)


@pytest.mark.parametrize(("pack", "space"), [(ALARMED, SampleSpace.ANOMALIES), (CALM, SampleSpace.NORMALS)])
def test_a_board_answers_a_pull(
    make_board: Callable[[bytes], Board], bench: Bench, pack: bytes, space: SampleSpace
) -> None:
    made = bench.device("pump-1", address=ADDRESS)
    board = make_board(made.region(pack))
    device = SerialDevice(board.uart, ADDRESS)
    until = time.monotonic() + 60
    while not (records := kept(device, space)):
        assert time.monotonic() < until, "nothing was kept"
        time.sleep(0.2)
    first = records[0]
    assert (first.anomaly, first.context, len(first.window)) == (space is SampleSpace.ANOMALIES, context_of(pack), 80)
    start, data = pull_all(device, space)
    said = attest(device, made, space, start, start + len(data))
    assert isinstance(said, SamplesAttestation)
    assert said.digest16 == hashlib.sha256(data).digest()[:16]
    board.kill()
    board.start()
    again, more = pull_all(SerialDevice(board.uart, ADDRESS), space)
    assert (again, more[: len(data)]) == (start, data)
