# SPDX-License-Identifier: Apache-2.0
"""The text of the broker's configuration; tests/system/test_broker.py runs a broker with it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from signing import broker_config
from signing.broker_config import Listener, Uplink
from signing.key_files import KeyStoreError
from signing.pki import Role, Subject

SYSTEMD = Path(__file__).parents[2] / "systemd"
BROKER = Subject(Role.BROKER, "broker.plant")


def _configuration(listener: Listener) -> list[str]:
    template = (SYSTEMD / "mosquitto.conf").read_text(encoding="utf-8")
    return broker_config.configuration(template, listener).splitlines()


def test_the_configuration_names_the_files_of_the_broker() -> None:
    lines = _configuration(Listener(PurePosixPath("/etc/mosquitto/fleet"), BROKER, 8883))
    for line in ("listener 8883", "keyfile /etc/mosquitto/fleet/broker.plant.key", "require_certificate true"):
        assert line in lines
    assert not [line for line in lines if "$" in line]
    assert "listener 1883 ::1" in _configuration(Listener(PurePosixPath("/a"), BROKER, 1883, "::1"))


def test_the_broker_sends_small_messages_at_once() -> None:
    assert "set_tcp_nodelay true" in _configuration(Listener(PurePosixPath("/a"), BROKER, 8883))


def test_values_with_spaces_are_rejected() -> None:
    for listener in (Listener(PurePosixPath("/a b"), BROKER, 1), Listener(PurePosixPath("/a"), BROKER, 1, "::1\nx")):
        with pytest.raises(KeyStoreError, match="has a space in it"):
            _configuration(listener)


def test_a_bridge_carries_the_requests_of_one_gateway_and_the_answers_to_it() -> None:
    listener = Listener(PurePosixPath("/etc/mosquitto/fleet"), BROKER, 8883)
    north, cloud = Subject(Role.GATEWAY, "north"), Subject(Role.GATEWAY, "cloud")
    lines = broker_config.bridge("plant", listener, Uplink(north, cloud, "cloud.example", 8883)).splitlines()
    assert [line for line in lines if line.startswith("topic")] == [
        "topic server/cloud/request/north out 0 tinyfleet/plant/ tinyfleet/plant/",
        "topic server/cloud/answer/north in 0 tinyfleet/plant/ tinyfleet/plant/",
    ]
    assert "bridge_keyfile /etc/mosquitto/fleet/north.key" in lines
    with pytest.raises(KeyStoreError, match="not a valid host"):
        broker_config.bridge("plant", listener, Uplink(north, cloud, "cloud\nallow_anonymous true", 1))


def test_rights() -> None:
    template = (SYSTEMD / "mosquitto-acl.conf").read_text(encoding="utf-8")
    lines = broker_config.access(template, "plant", ["north", "south"], ["line-tool"]).splitlines()
    rights = [line for line in lines if line and not line.startswith("#")]
    assert rights[:3] == [
        "pattern read tinyfleet/plant/%u/down",
        "pattern write tinyfleet/plant/%u/up",
        "pattern write tinyfleet/plant/%u/presence",
    ]
    assert rights[3:25:11] == ["user @north", "user @south"]
    assert "topic read tinyfleet/plant/server/south/request/+" in rights
    assert "topic write tinyfleet/plant/server/+/request/south" in rights
    assert "topic readwrite tinyfleet/plant/gateway/south/presence" in rights
    assert rights[25:] == [
        "user ~line-tool",
        "topic write tinyfleet/plant/request/line-tool",
        "topic read tinyfleet/plant/answer/line-tool",
    ]
    for fleet, gateway in (("plant\nx", "a"), ("plant", "a\nx"), ("+", "a"), ("plant", "#")):
        with pytest.raises(KeyStoreError, match="not a valid"):
            broker_config.access(template, fleet, [gateway])
