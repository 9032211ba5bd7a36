# SPDX-License-Identifier: Apache-2.0
"""The instructions that a build estimates for an inference, against those counted on the emulated boards."""

from __future__ import annotations

import pytest

from bench.cost_layers import UNSEEN_SEEDS, layer_packs
from bench.engine import SEEDS, isolation_forest
from bench.zoo import ZOO
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.evaluation.estimate_limits import ESTIMATE_OFF_PERCENT
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import build_network
from tests.compiler.random_forests import forest_packs
from tests.firmware.conftest import build

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
BOARDS = {ExecutionTarget.MPS2_AN386: "cortex-m4", ExecutionTarget.RISCV32_VIRT: "rv32imac"}
OFF_AT_MOST = ESTIMATE_OFF_PERCENT / 100
UNSEEN = dict(layer_packs(UNSEEN_SEEDS[0], share=0.3))
OFF_AT_MOST_IF_SMALL = 0.25


@pytest.fixture(scope="module", params=BOARDS, ids=lambda place: place.value)
def board(request: pytest.FixtureRequest) -> ExecutionTarget:
    assert isinstance(request.param, ExecutionTarget)
    build(request.param.value, "runner-elf")
    return request.param


def off(board: ExecutionTarget, pack: bytes) -> float:
    """How far the estimate is from the count, as a share of the count."""
    inputs = ReferenceInterpreter(pack).inputs
    done = execute(board, pack, [b"".join(generate_inputs(seed, inputs)) for seed in SEEDS])
    measured = max(got.instructions for got in done.inferences)
    return abs(estimate_cost(pack, BOARDS[board]).instructions / measured - 1)


@pytest.mark.parametrize("name", sorted(ZOO))
def test_networks_of_the_bench(board: ExecutionTarget, name: str) -> None:
    assert off(board, build_network(ZOO[name]()).data) < OFF_AT_MOST


@pytest.mark.parametrize("name", sorted(UNSEEN))
def test_networks_that_the_fit_has_not_seen(board: ExecutionTarget, name: str) -> None:
    assert off(board, UNSEEN[name]) < OFF_AT_MOST


@pytest.mark.parametrize("trees", [10, 50])
def test_forests_of_the_bench(board: ExecutionTarget, trees: int) -> None:
    assert off(board, isolation_forest(trees).data) < OFF_AT_MOST


def test_small_forests_on_features_of_a_window(board: ExecutionTarget) -> None:
    offs = {name: off(board, pack) for name, pack in forest_packs().items()}
    assert {name: share for name, share in offs.items() if share >= OFF_AT_MOST_IF_SMALL} == {}
