# SPDX-License-Identifier: Apache-2.0
"""The emulated boards collect rows of their own sensor, and grow a forest from them in their own flash."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.devices.messages import SampleSpace
from reconciler.devices.reports import SamplesAttestation
from reconciler.model import LearningStage
from tests.firmware.bench import Bench
from tests.firmware.board import MPS2_AN386, RISCV32_VIRT, Board, Machine, write_flash_file
from tests.firmware.conftest import build
from tests.firmware.growing import rows_region
from tests.firmware.learning import FORM, RECIPE, expected_forest, grown_forest, learning_pack, stored_rows
from tests.firmware.samples import attest, pull
from tests.firmware.talk import SerialDevice

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
ADDRESS = 7
OWN_ROWS = 2  # rows that the board collects itself, at five windows a second
BOARDS = ((MPS2_AN386, 0xC8000, 8), (RISCV32_VIRT, 0x340000, 4))  # where `rows` is, and the write size


@pytest.mark.parametrize(("machine", "rows_at", "write_bytes"), BOARDS, ids=lambda value: getattr(value, "name", ""))
def test_a_board_grows_the_forest_of_its_rows(
    bench: Bench, tmp_path: Path, machine: Machine, rows_at: int, write_bytes: int
) -> None:
    """The first rows are there when it starts, so that it collects for a second only, and continues across a start."""
    form, recipe = replace(FORM, trees=10), replace(RECIPE, every=1, most_anomalous=1000)
    pack = learning_pack(form, recipe)
    made = bench.device("pump-1", address=ADDRESS)
    given = [tuple((seed * (37 + 11 * i)) % 5000 for i in range(3)) for seed in range(recipe.rows - OWN_ROWS)]
    flash = tmp_path / "flash.bin"
    write_flash_file(machine, flash, {0: made.region(pack), rows_at: rows_region(pack, given, write_bytes)})
    with Board(machine, build(machine.name) / "tinyfleet.elf", flash) as board:
        device = SerialDevice(board.uart, ADDRESS)
        until = time.monotonic() + 60
        while not pull(device, SampleSpace.FOREST).data:
            assert time.monotonic() < until, "nothing was grown"
            time.sleep(0.2)  # a line carries no event when a forest is grown
        rows = stored_rows(device, write_bytes).rows
        grown = grown_forest(device)
        said = attest(device, made, SampleSpace.FOREST, 0, len(grown.section) + 64)
        assert isinstance(said, SamplesAttestation)
        assert said.learning is not None
        assert (said.learning.stage, said.learning.rows) == (LearningStage.GROWN, recipe.rows)
        assert list(rows[: len(given)]) == given
        assert grown.section == expected_forest([list(row) for row in rows], form, recipe)
        board.kill()
        board.start()
        assert grown_forest(SerialDevice(board.uart, ADDRESS)) == grown
