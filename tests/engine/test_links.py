# SPDX-License-Identifier: Apache-2.0
"""Links are opened for just what Git and the configuration name together, and closed when they no longer do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from reconciler.config import GatewayConfig, KeysConfig, MqttConfig, RepositoryConfig, SerialConfig
from reconciler.devices.link import LinkState
from reconciler.engine import links
from reconciler.engine.links import Links
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.model import Device, DeviceId, GatewayLimits, MqttAddress, SerialAddress, TypeId

NORTH, SOUTH = "line-north", "line-south"
ONE, TWO, AIR = DeviceId("pump-1"), DeviceId("pump-2"), DeviceId("door-1")


def on_line(name: DeviceId, port: str, address: int) -> Device:
    return Device(name, TypeId("board"), SerialAddress(port, 9600, address))


def devices(*every: Device) -> Mapping[DeviceId, Device]:
    return {each.name: each for each in every}


PUMPS = devices(on_line(ONE, NORTH, 1), on_line(TWO, SOUTH, 2))
IN_THE_AIR = devices(Device(AIR, TypeId("board"), MqttAddress()))


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    lines = tuple(SerialConfig(name, f"unix:{tmp_path / name}") for name in (NORTH, SOUTH))
    return GatewayConfig("hall", RepositoryConfig("none"), KeysConfig(tmp_path), tmp_path, serial=lines)


def with_links(config: GatewayConfig, scene: Callable[[Links], Awaitable[None]]) -> None:
    async def run() -> None:
        made = Links(config, ReportVerifier())
        try:
            await scene(made)
        finally:
            await made.close()

    asyncio.run(run())


def test_one_link_a_port_for_those_that_git_puts_on_it(config: GatewayConfig) -> None:
    async def scene(made: Links) -> None:
        made.serve("plant", PUMPS, GatewayLimits())
        assert made.bauds() == {NORTH: 9600, SOUTH: 9600}
        north = made.fleet_of(ONE)
        assert north is not None
        assert north is not made.fleet_of(TWO)
        assert made.fleet_of(AIR) is None
        made.serve("plant", PUMPS, GatewayLimits())  # the same object: nothing is looked at
        assert made.fleet_of(ONE) is north
        made.serve("plant", dict(PUMPS), GatewayLimits())  # the same devices: nothing is opened anew
        assert made.fleet_of(ONE) is north
        made.serve("plant", devices(on_line(ONE, NORTH, 7), on_line(TWO, SOUTH, 2)), GatewayLimits())
        assert made.fleet_of(ONE) is not north  # another address is another line
        made.serve("plant", devices(on_line(TWO, SOUTH, 2)), GatewayLimits())
        assert (made.fleet_of(ONE), set(made.statistics())) == (None, {SOUTH})

    with_links(config, scene)


def test_a_line_that_can_not_be_opened_says_why_and_is_asked_nothing(
    config: GatewayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "UP_S", 0.05)

    async def scene(made: Links) -> None:
        made.serve("plant", devices(on_line(ONE, NORTH, 1)), GatewayLimits())
        assert await made.ready(AIR) is None  # nothing leads to it
        assert await made.ready(ONE) is None  # its line does not come up
        event = await anext(made.events())
        assert isinstance(event, LinkState)
        assert not event.up
        assert made.troubles()[NORTH] == event.why
        assert made.strangers() == frozenset()

    with_links(config, scene)


def test_devices_of_a_broker_that_the_configuration_does_not_name(config: GatewayConfig) -> None:
    async def scene(made: Links) -> None:
        made.serve("plant", IN_THE_AIR, GatewayLimits())
        assert made.fleet_of(AIR) is None
        assert "add [mqtt] to gateway.toml" in str(made.troubles()["mqtt"])
        made.serve("plant", PUMPS, GatewayLimits())
        assert "mqtt" not in made.troubles()

    with_links(config, scene)


def test_a_broker_keeps_its_link_when_devices_come(tmp_path: Path) -> None:
    config = GatewayConfig(
        "hall", RepositoryConfig("none"), KeysConfig(tmp_path), tmp_path, mqtt=MqttConfig("127.0.0.1", port=1)
    )

    async def scene(made: Links) -> None:
        made.serve("plant", IN_THE_AIR, GatewayLimits())
        before = made.fleet_of(AIR)
        assert before is not None
        other = Device(DeviceId("door-2"), TypeId("board"), MqttAddress())
        made.serve("plant", {**IN_THE_AIR, other.name: other}, GatewayLimits())
        assert made.fleet_of(other.name) is before
        assert made.bauds() == {"mqtt": None}

    with_links(config, scene)
