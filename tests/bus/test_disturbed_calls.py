# SPDX-License-Identifier: Apache-2.0
"""Real brokers, an uplink and processes: nothing is lost or done twice while they fail."""

from __future__ import annotations

from pathlib import Path

from tests.bus.edge_and_cloud import disturbed, edge_and_cloud

CALLS = 200


def test_nothing_is_lost_wrong_or_doubled_while_the_line_the_broker_and_the_cloud_fail(tmp_path: Path) -> None:
    with edge_and_cloud(tmp_path, clients=1) as sites:
        found = disturbed(sites, CALLS, cut_s=0.5)
    assert (found.lost, found.wrong, found.doubled) == (0, 0, 0)
    assert found.answered + found.refused == CALLS
    assert found.refused <= 16  # those that were on their way
