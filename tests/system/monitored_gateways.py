# SPDX-License-Identifier: Apache-2.0
"""Gateways that together have a figure for each panel of the dashboard: each does one kind of work."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import COHORT, LABELS, Site
from demo.world import FLEET, GATEWAY, World, document
from signing.keys import generate
from tests import mosquitto
from tests.firmware.broker import Authority, Broker
from tests.system import test_contest, test_learning, test_pipeline
from tests.system.contest_site import FALSE_POSITIVES, ROUGH, SAMPLE_OPTIONS, SMOOTH
from tests.system.learning_site import EVERY, OPTIONS, ROWS
from tests.system.node_world import NodeWorld, function
from tests.system.test_operations import RMS, WINDOW

WITHIN_S = 300


@dataclass(frozen=True)
class Monitored:
    """A gateway, the port of its metrics, and what it repeats while figures are awaited."""

    world: World
    port: int
    act: Callable[[], object]


def with_metrics(world: World) -> int:
    """Let the daemon of a world serve metrics; return the port."""
    port, path = mosquitto.free_port(), world.folder / "gateway.toml"
    path.write_text(re.sub(r"listen = .*", f'listen = "127.0.0.1:{port}"', path.read_text()))
    return port


@contextmanager
def contest() -> Iterator[Monitored]:
    """A contest whose champion raises false alarms, on devices of one cohort."""
    with test_contest.made_site("broker") as site:
        port = with_metrics(site.world)
        site.site.start_devices(*SAMPLE_OPTIONS)
        site.world.commit("Begin", site.files())
        site.site.start_gateway()
        site.world.wait_for("the champion", lambda: site.runs("1.0.0"), within_s=WITHIN_S)
        site.feel(test_contest.DEVICE, 21, 8, SMOOTH)
        site.feel(test_contest.DEVICE, 22, FALSE_POSITIVES + 2, ROUGH)
        yield Monitored(site.world, port, lambda: None)


@contextmanager
def learning() -> Iterator[Monitored]:
    """A device that learns, and one that Git names and nobody has switched on."""
    with test_learning.made_site() as site:
        port = with_metrics(site.world)
        spec = {"type": "line-sensor", "link": {"mqtt": {}}, "publicKey": generate().public_key.hex()}
        settings = {"reportEvery": "5s", "silentAfter": "10m", "cohortLabel": COHORT}
        more = {
            "fleet.yaml": document("Fleet", FLEET, settings),
            "devices/absent.yaml": document("Device", "absent", spec, LABELS),
        }
        site.site.start_devices(*OPTIONS)
        site.world.commit("Begin", {**site.files(), **more})
        site.site.start_gateway()
        ready = (test_learning.DEVICE, "CollectingRows")
        site.world.wait_for("it collects rows", lambda: site.is_at(*ready), within_s=WITHIN_S)
        site.feel(test_learning.DEVICE, 21, EVERY * ROWS // 2)
        yield Monitored(site.world, port, lambda: None)


@contextmanager
def node() -> Iterator[Monitored]:
    """A gateway that answers requests by a function, and keeps items."""
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world:
        made = NodeWorld(world)
        try:
            port = with_metrics(world)
            made.begin(function("rms"))
            made.wait_for_reason("functions/rms.yaml", "Ready", "Ready")
            with made.client() as client:

                def act() -> None:
                    assert client.call("features.rms", WINDOW, timeout_s=WITHIN_S) == RMS
                    client.call("data.put.vibration", WINDOW, timeout_s=WITHIN_S)

                yield Monitored(world, port, act)
        finally:
            made.stop()


@contextmanager
def pipeline() -> Iterator[Monitored]:
    """A network on two devices, which gets one input after the other."""
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world:
        authority = Authority(world.folder / "pki")
        for name in (GATEWAY, *test_pipeline.DEVICES):
            authority.issue(name)
        broker = Broker(world.folder, authority)
        try:
            link = BrokerLink(broker.port, authority.folder)
            site = Site(world, test_pipeline.DEVICES, link, operators=test_pipeline.OPERATORS)
            site.set_up()
            port = with_metrics(world)
            test_pipeline.begin(site)
            seeds = count(1)
            yield Monitored(world, port, lambda: test_pipeline.run(site, next(seeds)))
        finally:
            broker.stop()


KINDS = (contest, learning, node, pipeline)
