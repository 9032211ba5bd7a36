# SPDX-License-Identifier: Apache-2.0
"""The figures of samples: times follow the line's speed, and what is lost on the way would show."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from bench.contest.harsh_line import Harshness, count_samples, line_share
from bench.contest.sample_line import sample_times
from bench.serial import BAUD
from tests.engine.samples.sample_line import PACK, window

pytestmark = pytest.mark.usefixtures("host_build")
SHORT = Harshness(restarts=4, kills=8, seed=2)
WINDOWS = [window(number) for number in range(16)]


def test_samples_take_half_the_time_on_a_line_of_twice_the_speed() -> None:
    slow, fast = (sample_times(PACK, window(1), baud) for baud in (BAUD, 2 * BAUD))
    for one, other in ((slow.window_s, fast.window_s), (slow.features_s, fast.features_s), (slow.idle_s, fast.idle_s)):
        assert one / 2 < other < one / 2 * 1.06
    assert slow.idle_s < slow.features_s < slow.window_s


def test_a_window_takes_its_bytes_longer_than_its_features() -> None:
    times = sample_times(PACK, window(1))
    assert times.window_s - times.features_s > 500 * 10 / BAUD


def test_kills_restarts_and_losses_lose_and_double_nothing(tmp_path: Path) -> None:
    found = count_samples(PACK, WINDOWS, tmp_path / "knowledge.db", SHORT)
    assert (found.kept, found.lost, found.doubled) == (len(WINDOWS), 0, 0)
    assert found.stored_despite_kills > 0


def test_a_line_that_loses_everything_shows(tmp_path: Path) -> None:
    found = count_samples(PACK, WINDOWS, tmp_path / "knowledge.db", replace(SHORT, frames_lost=1.0))
    assert (found.kept, found.lost, found.stored_despite_kills) == (len(WINDOWS), len(WINDOWS), 0)


def test_the_share_of_the_line_is_the_one_that_was_set(tmp_path: Path) -> None:
    many = [struct.pack("<250h", number, 30_000, *[0] * 248) for number in range(200)]
    low, high = (line_share(PACK, many, tmp_path / f"{percent}.db", percent, 1200) for percent in (5, 20))
    assert 0.03 < low < 0.06
    assert 0.17 < high < 0.23
