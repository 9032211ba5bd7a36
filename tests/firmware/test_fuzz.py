# SPDX-License-Identifier: Apache-2.0
"""A short form of `make fuzz SECONDS=…`: the seeds, and some seconds of fuzzing."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.fuzz.targets import TARGETS, Fuzzers

SECONDS = 3


@pytest.fixture(scope="session")
def fuzzers(tmp_path_factory: pytest.TempPathFactory) -> Fuzzers:
    return Fuzzers(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_breaks(fuzzers: Fuzzers, target: str) -> None:
    seeds = list((fuzzers.folder / "seeds" / target).iterdir())
    outcome = fuzzers.fuzz(target, SECONDS)
    assert outcome.crash is None
    assert outcome.executions > len(seeds) > 0


def test_a_crash_would_be_seen(fuzzers: Fuzzers, tmp_path: Path) -> None:
    """Without the file of the region, the target aborts at its start, as it would at an input that breaks it."""
    (fuzzers.folder / "region.bin").rename(tmp_path / "region.bin")
    outcome = fuzzers.fuzz("messages", 0)
    (tmp_path / "region.bin").rename(fuzzers.folder / "region.bin")
    assert outcome.crash is not None
