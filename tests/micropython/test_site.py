# SPDX-License-Identifier: Apache-2.0
"""From a commit to a confirmed package and a status commit: the real daemon, and the agent on the real MicroPython."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import SerialLine, rollout
from demo.world import GATEWAY, World
from tests.firmware.broker import Authority, Broker
from tests.micropython.device import WINDOW
from tests.micropython.forests import documented_forest
from tests.micropython.site import MicroPythonSite, Wire, forest_model

WITHIN_S = 120
BAUD = 115200


MODELS = {version: documented_forest(number, WINDOW) for number, version in enumerate(("1.0.0", "1.1.0", "1.2.0"))}


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def broker(world: World) -> Iterator[Broker]:
    authority = Authority(world.folder / "pki")
    for name in (GATEWAY, "pump-9"):
        authority.issue(name)
    started = Broker(world.folder, authority)
    yield started
    started.stop()


def begin(site: MicroPythonSite) -> None:
    site.set_up()
    device = site.start_device()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")
    assert "tinyfleet on micropython" in device.log


def status(site: MicroPythonSite) -> dict[str, Any]:
    return site.world.device_status("pump-9")


def arrive(site: MicroPythonSite, version: str) -> None:
    site.world.wait_for(version, lambda: site.are_ready(version), within_s=WITHIN_S)


def roll_out(site: MicroPythonSite, version: str) -> None:
    files = {"rollout.yaml": rollout(version), **forest_model(version, site.models[version])}
    site.world.commit(version, files)


def test_a_commit_reaches_a_device_over_mqtt_with_tls(world: World, broker: Broker) -> None:
    assert broker.authority is not None
    site = MicroPythonSite(world, BrokerLink(broker.port, broker.authority.folder), MODELS)
    begin(site)
    roll_out(site, "1.1.0")
    arrive(site, "1.1.0")
    site.world.commit("threshold", {"rollout.yaml": rollout("1.1.0", parameters={"threshold": 0.7})})
    site.world.wait_for("the threshold", lambda: site.world.device_status("pump-9")["sequence"] == 2, within_s=WITHIN_S)
    site.world.commit("back", {"rollout.yaml": rollout("1.0.0")})
    arrive(site, "1.0.0")
    assert site.world.device_status("pump-9")["sequence"] == 3


def test_a_model_that_fails_on_the_device_gives_way_on_a_serial_line(world: World, wire: Wire) -> None:
    site = MicroPythonSite(world, SerialLine(BAUD), MODELS, wire)
    begin(site)
    roll_out(site, "1.1.0")
    arrive(site, "1.1.0")
    (site.root / "golden-fails").write_text("from now on")
    roll_out(site, "1.2.0")
    site.world.wait_for("the fallback", lambda: "Quarantined" in str(status(site)), within_s=WITHIN_S)
    assert status(site)["model"] == "vibration@1.1.0"
