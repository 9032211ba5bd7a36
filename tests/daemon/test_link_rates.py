# SPDX-License-Identifier: Apache-2.0
"""Bytes per second over the last minute, from counters."""

from __future__ import annotations

import pytest

from reconciler.daemon.link_rates import STEP_S, STEPS, LinkRates, Rate
from reconciler.devices.link import LinkStatistics


class Hands:
    """A clock that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def rates(clock: Hands) -> LinkRates:
    return LinkRates(clock)


def test_a_rate_needs_two_samples(clock: Hands, rates: LinkRates) -> None:
    line = LinkStatistics()
    rates.note({"line": line})
    assert rates.of("line") is None
    assert rates.of("no such line") is None
    clock.now_s += STEP_S
    line.sent_bytes, line.received_bytes = 2000, 500
    rates.note({"line": line})
    assert rates.of("line") == Rate(200.0, 50.0)


def test_old_samples_are_dropped(clock: Hands, rates: LinkRates) -> None:
    line = LinkStatistics()
    for _ in range(STEPS + 1):
        rates.note({"line": line})
        clock.now_s += STEP_S
        line.sent_bytes += 1000
    assert rates.of("line") == Rate(100.0, 0.0)
    for _ in range(STEPS + 1):
        rates.note({"line": line})
        clock.now_s += STEP_S
    assert rates.of("line") == Rate(0.0, 0.0)


def test_frequent_sampling_does_not_shorten_the_window(clock: Hands, rates: LinkRates) -> None:
    line = LinkStatistics()
    for _ in range(100):
        rates.note({"line": line})
        clock.now_s += STEP_S / 20
        line.sent_bytes += 50
    assert rates.of("line") == Rate(100.0, 0.0)


def test_a_reopened_link_starts_again(clock: Hands, rates: LinkRates) -> None:
    for sent in (0, 5000, 10, 20):
        rates.note({"line": LinkStatistics(sent_bytes=sent)})
        clock.now_s += STEP_S
    assert rates.of("line") == Rate(1.0, 0.0)
    rates.note({})
    rates.note({"line": LinkStatistics(sent_bytes=30)})
    assert rates.of("line") is None
