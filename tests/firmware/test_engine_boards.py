# SPDX-License-Identifier: Apache-2.0
"""The same numbers on emulated boards of two architectures: one with dual multipliers, one with plain C."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.zoo import ZOO
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import build_network
from tests.compiler.make_vectors import good_packs
from tests.compiler.random_networks import KINDS, Draw, oracle_and_network
from tests.firmware.conftest import build
from tests.firmware.extremes import ANY, FAST, extreme_packs

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
SEEDS = (3, 0xFEEDBEEF)
PACKS = good_packs()


@pytest.fixture(
    scope="module", params=[ExecutionTarget.MPS2_AN386, ExecutionTarget.RISCV32_VIRT], ids=lambda place: place.value
)
def board(request: pytest.FixtureRequest) -> ExecutionTarget:
    assert isinstance(request.param, ExecutionTarget)
    build(request.param.value, "runner-elf")
    return request.param


def assert_like_reference(board: ExecutionTarget, pack: bytes) -> None:
    reference = ReferenceInterpreter(pack)
    inputs = [generate_inputs(seed, reference.inputs) for seed in SEEDS]
    done = execute(board, pack, [b"".join(parts) for parts in inputs])
    assert (done.verdict, done.first_wrong_golden) == (0, None)
    for parts, got in zip(inputs, done.inferences, strict=True):
        wanted = reference.run(parts)
        assert (got.outputs, got.decision, got.score) == (b"".join(wanted.outputs), wanted.decision, wanted.score)
        assert got.instructions > 0


@pytest.mark.parametrize("name", sorted(PACKS))
def test_packs_of_the_vectors(board: ExecutionTarget, name: str) -> None:
    assert_like_reference(board, PACKS[name])


@pytest.mark.parametrize("kind", ["convolution", "fully_connected", "pool", "binary", "residual", "svdf", "lstm"])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_networks(board: ExecutionTarget, kind: str, data: st.DataObject) -> None:
    assert_like_reference(board, oracle_and_network(KINDS[kind](Draw(data)))[1].data)


@pytest.mark.parametrize("shifts", [FAST, ANY], ids=["quick", "any"])
def test_sums_at_the_ends_of_32_bits(board: ExecutionTarget, shifts: tuple[int, int]) -> None:
    for seed in range(4):
        for pack in extreme_packs(seed, shifts).values():
            assert_like_reference(board, pack)


def test_a_network_of_real_size(board: ExecutionTarget) -> None:
    assert_like_reference(board, build_network(ZOO["kws"]()).data)


def test_refuses_what_does_not_fit(board: ExecutionTarget) -> None:
    done = execute(board, PACKS["conv same"], [], arena_bytes=8)
    assert (done.verdict, done.inferences) == (-86, ())
