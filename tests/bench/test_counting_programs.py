# SPDX-License-Identifier: Apache-2.0
"""The programs that count instructions on an emulated board, which benches build and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from bench import crypto
from bench.learning import BOARDS, Board, grown_on
from bench.learning_auc import FORM
from reconciler.compiler.reference.growing import grow_forest
from tests.firmware.conftest import build

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]


def test_cost_of_cryptography() -> None:
    build("mps2-an386", "crypto-bench")

    cost = crypto.measure()  # ends with an error when a digest, a tag or a secret is wrong

    assert all(bar.is_met(figure) for bar, figure in cost.session_figures())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_forest_grown_on_a_board_is_that_of_the_reference(board: Board) -> None:
    build(board.name, "grow-bench")
    rows = np.random.default_rng(5).integers(0, 2**16, (300, FORM.features), dtype=np.int64)

    instructions, section = grown_on(board, rows, seed=7)

    assert section == grow_forest(rows.tolist(), FORM, 7)
    assert instructions > 0
