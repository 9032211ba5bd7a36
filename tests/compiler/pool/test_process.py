# SPDX-License-Identifier: Apache-2.0
"""The caged process of a pool: it votes, and a model that fails costs nobody but itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pool.messages import PooledKind, PooledModel, SampleRows, WindowLayout
from reconciler.compiler.pool.process import FAILURES_MAX, CagedPool, PoolLimits
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from tests.compiler.random_forests import forest_packs

WINDOWS = np.array([[1, 2, 3], [300, 2, 3], [-5, 0, 0]], "<i2")
ROWS = SampleRows(WindowLayout(int(ElementType.INT16)), 3, b"", WINDOWS.tobytes())
GOOD = PooledModel("sum@1", "good", PooledKind.PACK, build_threshold_pack([1, 1, 1], threshold=100))
BAD = PooledModel("bad@1", "bad", PooledKind.PACK, b"TFPKnonsense")


@pytest.fixture
def pool() -> Iterator[CagedPool]:
    opened = CagedPool()
    yield opened
    opened.close()


def voted(pool: CagedPool, model: PooledModel = GOOD, *thresholds: float | None) -> list[list[int]] | None:
    return pool.vote(model, ROWS, thresholds or (None,))


def test_a_model_votes_with_each_threshold(pool: CagedPool) -> None:
    assert voted(pool, GOOD, None, 2.0, 1000.0) == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_a_model_that_fails_abstains_and_is_out_after_three_times(pool: CagedPool) -> None:
    for _ in range(FAILURES_MAX):
        assert not pool.is_out(BAD)
        assert voted(pool, BAD) is None
    assert pool.is_out(BAD)
    assert "PackMalformed" in pool.failing["bad@1"]
    assert voted(pool) == [[0, 1, 0]]  # the others vote on
    pool.git_changed()
    assert not pool.is_out(BAD)
    assert pool.failing == {}


def test_a_model_that_takes_too_long_is_ended() -> None:
    pool = CagedPool(PoolLimits(vote_s=0.2))
    slow = PooledModel("forest@1", "slow", PooledKind.PACK, forest_packs()["forest isolation"])
    endless = np.ones((20_000, 48), "<i2")
    rows = SampleRows(WindowLayout(int(ElementType.INT16)), len(endless), b"", endless.tobytes())
    assert pool.vote(slow, rows, [None]) is None
    assert voted(pool) == [[0, 1, 0]]  # in a new process
    pool.close()


def test_a_crash_ends_the_process_and_not_the_pool() -> None:
    """The system ends the process in the middle of a vote, as it does one that crashes."""
    pool = CagedPool(PoolLimits(cpu_s=2))
    busy = PooledModel("forest@1", "busy", PooledKind.PACK, forest_packs()["forest isolation"])
    much = np.ones((200_000, 48), "<i2")
    rows = SampleRows(WindowLayout(int(ElementType.INT16)), len(much), b"", much.tobytes())
    for _ in range(FAILURES_MAX):
        assert pool.vote(busy, rows, [None]) is None
    assert "it ended the process" in pool.failing["forest@1"]
    assert voted(pool) == [[0, 1, 0]]
    pool.close()


def test_a_model_that_needs_too_much_memory_fails() -> None:
    pool = CagedPool(PoolLimits(memory_bytes=400 << 20))
    much = SampleRows(WindowLayout(int(ElementType.INT16)), 50_000_000, b"", bytes(300_000_000))
    assert pool.vote(GOOD, much, [None]) is None
    assert voted(pool) == [[0, 1, 0]]
    pool.close()


def test_the_process_is_replaced_before_its_time_is_used_up() -> None:
    pool = CagedPool(PoolLimits(cpu_s=1))
    for _ in range(4):
        assert voted(pool) == [[0, 1, 0]]
    pool.close()


def test_a_closed_pool_starts_again(pool: CagedPool) -> None:
    assert voted(pool) == [[0, 1, 0]]
    pool.close()
    assert voted(pool) == [[0, 1, 0]]


def test_bytes_under_another_digest_are_another_model(pool: CagedPool) -> None:
    other = replace(GOOD, digest="other", data=build_threshold_pack([1, 1, 1], threshold=0))
    assert voted(pool) == [[0, 1, 0]]
    assert voted(pool, other) == [[1, 1, 0]]
