# SPDX-License-Identifier: Apache-2.0
"""The times on the line come from the line: twice its speed halves them."""

from __future__ import annotations

import pytest

from bench.contest.deployment import deployments, occupation, payload_share
from bench.serial import BAUD, forest_pack

pytestmark = pytest.mark.usefixtures("host_build")
TURNAROUNDS = 0.06  # the part of a deployment that does not depend on the speed


def test_a_deployment_takes_half_the_time_on_a_line_of_twice_the_speed() -> None:
    packs = [forest_pack(10), forest_pack(50)]
    slow, fast = deployments(packs, BAUD), deployments(packs, 2 * BAUD)
    assert [run.sent_bytes for run in slow] == [run.sent_bytes for run in fast]
    for one, other in zip(slow, fast, strict=True):
        assert one.took_s / 2 < other.took_s < one.took_s / 2 * (1 + TURNAROUNDS)


def test_the_shares_are_those_of_what_was_on_the_line() -> None:
    pack = forest_pack(50)
    (run,) = deployments([pack])
    assert 0.5 < payload_share(run, pack) < occupation(run) < 1
    assert occupation(run) == pytest.approx((run.sent_bytes + run.received_bytes) / 240 / run.took_s)
