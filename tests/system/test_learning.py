# SPDX-License-Identifier: Apache-2.0
"""A device teaches itself: from the commit to the forest that it grew, over a real broker."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import Site
from demo.world import GATEWAY, World
from tests.firmware.broker import Authority, Broker
from tests.system.contest_site import ROUGH
from tests.system.learning_site import EVERY, OPERATORS, OPTIONS, ROWS, LearningSite, rollout

WITHIN_S = 60
DEVICE = "pump-00"

pytestmark = [pytest.mark.build, pytest.mark.timeout(600)]


@contextmanager
def made_site() -> Iterator[LearningSite]:
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world:
        authority = Authority(world.folder / "pki")
        for name in (GATEWAY, DEVICE):
            authority.issue(name)
        broker = Broker(world.folder, authority)
        try:
            site = Site(world, (DEVICE,), BrokerLink(broker.port, authority.folder), operators=OPERATORS)
            site.set_up()
            yield LearningSite(site)
        finally:
            broker.stop()


@pytest.mark.usefixtures("firmware")
def test_a_device_teaches_itself_and_learns_again_by_an_envelope() -> None:
    with made_site() as site:
        site.site.start_devices(*OPTIONS)
        site.world.commit("Begin", site.files())
        site.site.start_gateway()
        wait = site.world.wait_for
        wait("it collects rows", lambda: site.is_at(DEVICE, "CollectingRows"), within_s=WITHIN_S)
        sequence = site.world.device_status(DEVICE)["sequence"]
        site.feel(DEVICE, 21, EVERY * ROWS // 2)
        wait("half of the rows", lambda: f"50% of {ROWS}" in site.condition(DEVICE)["message"], within_s=WITHIN_S)
        site.feel(DEVICE, 22, EVERY * ROWS // 2)
        wait("it has grown a forest", lambda: site.is_at(DEVICE, "ForestGrown"), within_s=WITHIN_S)
        assert all("decision=1" in said for said in site.feel(DEVICE, 23, 5, 10 * ROUGH))
        site.world.commit("Learn again", {"rollouts/pumps.yaml": rollout(parameters={"learn-generation": 1})})
        wait("it learns again", lambda: site.is_at(DEVICE, "CollectingRows"), within_s=WITHIN_S)
        assert site.world.device_status(DEVICE)["sequence"] == sequence + 1
