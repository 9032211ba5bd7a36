# SPDX-License-Identifier: Apache-2.0
"""The text of the broker's configuration; tests/system/test_broker.py runs a broker with it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from signing import broker_config
from signing.broker_config import Listener
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


def test_an_uplink_may_ask_in_the_name_of_its_gateway_and_read_the_answers() -> None:
    template = (SYSTEMD / "mosquitto-acl.conf").read_text(encoding="utf-8")
    rules = broker_config.access(template, "plant", ("cloud",), (), ("north",))
    assert rules.partition("user ^north\n")[2].strip().splitlines() == [
        "topic write tinyfleet/plant/server/+/request/north",
        "topic read tinyfleet/plant/server/+/answer/north",
    ]
