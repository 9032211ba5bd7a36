# SPDX-License-Identifier: Apache-2.0
"""Links are opened for exactly what Git and the configuration name together, and closed when they no longer do."""

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
PUMP_1, PUMP_2, DOOR_1, DOOR_2 = DeviceId("pump-1"), DeviceId("pump-2"), DeviceId("door-1"), DeviceId("door-2")


def on_line(name: DeviceId, port: str, address: int) -> Device:
    return Device(name, TypeId("board"), SerialAddress(port, 9600, address))


def devices(*every: Device) -> Mapping[DeviceId, Device]:
    return {each.name: each for each in every}


PUMPS = devices(on_line(PUMP_1, NORTH, 1), on_line(PUMP_2, SOUTH, 2))
DOORS = devices(Device(DOOR_1, TypeId("board"), MqttAddress()))


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    lines = tuple(SerialConfig(name, f"unix:{tmp_path / name}") for name in (NORTH, SOUTH))
    return GatewayConfig("hall", RepositoryConfig("none"), KeysConfig(tmp_path), tmp_path, serial=lines)


def with_links(config: GatewayConfig, check: Callable[[Links], Awaitable[None]]) -> None:
    async def run() -> None:
        opened = Links(config, ReportVerifier())
        try:
            await check(opened)
        finally:
            await opened.close()

    asyncio.run(run())


def test_each_port_has_one_link_for_its_devices(config: GatewayConfig) -> None:
    async def check(opened: Links) -> None:
        opened.serve("plant", PUMPS, GatewayLimits())
        assert opened.bauds() == {NORTH: 9600, SOUTH: 9600}
        north = opened.session_of(PUMP_1)
        assert north is not None
        assert north is not opened.session_of(PUMP_2)
        assert opened.session_of(DOOR_1) is None
        opened.serve("plant", PUMPS, GatewayLimits())  # the same object: nothing is compared
        assert opened.session_of(PUMP_1) is north
        opened.serve("plant", dict(PUMPS), GatewayLimits())  # the same devices: nothing is opened again
        assert opened.session_of(PUMP_1) is north
        opened.serve("plant", devices(on_line(PUMP_1, NORTH, 7), on_line(PUMP_2, SOUTH, 2)), GatewayLimits())
        assert opened.session_of(PUMP_1) is not north  # another address needs another link
        opened.serve("plant", devices(on_line(PUMP_2, SOUTH, 2)), GatewayLimits())
        assert (opened.session_of(PUMP_1), set(opened.statistics())) == (None, {SOUTH})

    with_links(config, check)


def test_a_line_that_can_not_be_opened_says_why_and_is_not_ready(
    config: GatewayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "READY_WITHIN_S", 0.05)

    async def check(opened: Links) -> None:
        opened.serve("plant", devices(on_line(PUMP_1, NORTH, 1)), GatewayLimits())
        assert await opened.ready(DOOR_1) is None  # no link leads to it
        assert await opened.ready(PUMP_1) is None  # its line does not come up
        event = await anext(opened.events())
        assert isinstance(event, LinkState)
        assert not event.up
        assert opened.troubles()[NORTH] == event.why
        assert opened.unknown_devices() == frozenset()

    with_links(config, check)


def test_devices_behind_a_broker_that_is_not_configured_are_not_served(config: GatewayConfig) -> None:
    async def check(opened: Links) -> None:
        opened.serve("plant", DOORS, GatewayLimits())
        assert opened.session_of(DOOR_1) is None
        assert "add [mqtt] to gateway.toml" in str(opened.troubles()["mqtt"])
        opened.serve("plant", PUMPS, GatewayLimits())
        assert "mqtt" not in opened.troubles()

    with_links(config, check)


def test_a_broker_keeps_its_link_when_devices_are_added(tmp_path: Path) -> None:
    config = GatewayConfig(
        "hall", RepositoryConfig("none"), KeysConfig(tmp_path), tmp_path, mqtt=MqttConfig("127.0.0.1", port=1)
    )

    async def check(opened: Links) -> None:
        opened.serve("plant", DOORS, GatewayLimits())
        before = opened.session_of(DOOR_1)
        assert before is not None
        opened.serve("plant", {**DOORS, DOOR_2: Device(DOOR_2, TypeId("board"), MqttAddress())}, GatewayLimits())
        assert opened.session_of(DOOR_2) is before
        assert opened.bauds() == {"mqtt": None}

    with_links(config, check)
