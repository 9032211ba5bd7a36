# SPDX-License-Identifier: Apache-2.0
"""A whole site: signed commits, the daemon, the real agent. Whatever a test starts ends with the test."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import SerialLine, Site
from demo.world import GATEWAY, World
from tests.firmware.broker import Authority, Broker
from tests.system.rollout_site import RolloutSite

ROOT = Path(__file__).parents[2]
FAST_BAUD = 115200
BROKER_DEVICES = tuple(f"pump-{number:02}" for number in range(20))


@pytest.fixture(scope="session")
def firmware() -> None:
    """Build the Linux port; the build skips what is up to date and waits for a build in another process."""
    command = ["flock", "firmware/build/.lock", "make", "-s", "firmware-host"]
    (ROOT / "firmware" / "build").mkdir(exist_ok=True)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as made:  # a socket's path is short
        yield made


@pytest.fixture
def broker(world: World) -> Iterator[Broker]:
    """A mosquitto with TLS, and certificates for the gateway and its devices."""
    authority = Authority(world.folder / "pki")
    for name in (GATEWAY, *BROKER_DEVICES):
        authority.issue(name)
    started = Broker(world.folder, authority)
    yield started
    started.stop()


@pytest.fixture
def broker_site(firmware: None, world: World, broker: Broker) -> Site:  # noqa: ARG001 - must have been built
    assert broker.authority is not None
    made = Site(world, BROKER_DEVICES, BrokerLink(broker.port, broker.authority.folder))
    made.set_up()
    return made


@pytest.fixture
def fleet(broker_site: Site, broker: Broker) -> Iterator[RolloutSite]:
    """The same site with labels and a record of what passes the broker; only the broker runs yet."""
    made = RolloutSite(broker_site, broker)
    yield made
    made.traffic.close()


@pytest.fixture
def site(firmware: None, world: World) -> Site:  # noqa: ARG001 - must have been built
    made = Site(world, ("pump-1", "pump-2", "pump-3"), SerialLine(FAST_BAUD))
    made.set_up()
    return made
