# SPDX-License-Identifier: Apache-2.0
"""Bytes a second over the last minute, from counters."""

from __future__ import annotations

import pytest

from reconciler.daemon.link_rates import LinkRates, Rate, STEPS, STEP_S
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


def test_a_rate_is_between_two_moments(clock: Hands, rates: LinkRates) -> None:
    line = LinkStatistics()
    rates.note({"line": line})
    assert rates.of("line") is None
    assert rates.of("no such line") is None
    clock.now_s += STEP_S
    line.sent_bytes, line.heard_bytes = 2000, 500
    rates.note({"line": line})
    assert rates.of("line") == Rate(200.0, 50.0)


def test_what_is_long_past_no_longer_counts(clock: Hands, rates: LinkRates) -> None:
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


def test_looking_often_makes_the_minute_no_shorter(clock: Hands, rates: LinkRates) -> None:
    line = LinkStatistics()
    for _ in range(100):
        rates.note({"line": line})
        clock.now_s += STEP_S / 20
        line.sent_bytes += 50
    assert rates.of("line") == Rate(100.0, 0.0)


def test_a_link_that_is_opened_anew_begins_anew(clock: Hands, rates: LinkRates) -> None:
    for sent in (0, 5000, 10, 20):
        rates.note({"line": LinkStatistics(sent_bytes=sent)})
        clock.now_s += STEP_S
    assert rates.of("line") == Rate(1.0, 0.0)
    rates.note({})
    rates.note({"line": LinkStatistics(sent_bytes=30)})
    assert rates.of("line") is None
