# SPDX-License-Identifier: Apache-2.0
"""The real daemon with the real firmware on two architectures: from a commit to a confirmed model and its status."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from demo.site import model, rollout
from demo.world import World, threshold_model
from tests.system.board_site import BOTH, BoardSite

WITHIN_S = 120
SMALL = threshold_model([3, -4, 2] * 40, 800)
LARGE_WEIGHTS = 3000
CHANCE = random.Random(5)
LARGE = threshold_model([CHANCE.randint(-20, 20) for _ in range(LARGE_WEIGHTS)], 800)
HALF_BYTES = 6000  # about half of the transfer on the line, with frames and questions


@pytest.fixture
def site(world: World) -> Iterator[BoardSite]:
    made = BoardSite(world)
    made.set_up()
    yield made
    made.close()


def arrive(site: BoardSite, version: str) -> None:
    site.world.wait_for(version, lambda: site.are_ready(version), within_s=WITHIN_S)


def test_both_boards_are_updated_and_one_loses_power_in_the_middle(site: BoardSite) -> None:
    site.start_boards()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SMALL)})
    arrive(site, "1.1.0")
    assert {site.world.device_status(name)["sequence"] for name in site.devices} == {1}
    interrupted = BOTH[0].name
    before = {name: site.lines[name].sent_bytes for name in site.devices}
    site.lines[interrupted].hold_after(HALF_BYTES)
    site.world.commit("2.0.0", {"rollout.yaml": rollout("2.0.0"), **model("2.0.0", LARGE)})
    site.world.wait_for("half of it sent", site.lines[interrupted].holding.is_set, within_s=WITHIN_S)
    site.cut_power(interrupted)
    site.boards[interrupted].start()
    arrive(site, "2.0.0")
    reached = {name: line.sent_bytes - before[name] for name, line in site.lines.items()}
    other = BOTH[1].name
    assert reached[other] > 1.5 * HALF_BYTES
    assert reached[interrupted] < reached[other] + HALF_BYTES / 2  # the blocks from before were kept
    assert {site.world.device_status(name)["sequence"] for name in site.devices} == {2}
