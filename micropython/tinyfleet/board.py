# SPDX-License-Identifier: Apache-2.0
"""Starts the agent on a board, as settings.json describes its link; docs/micropython.md lists the settings."""

import json
import time

import machine

from tinyfleet.agent import Agent
from tinyfleet.mqtt import MqttLink
from tinyfleet.port import Port
from tinyfleet.run import run
from tinyfleet.serial import SerialLink
from tinyfleet.tls import tls_context

_WIFI_S = 30
_TRIAL_INFERENCES = 1


def start(root: str, sensor: object) -> None:
    """Run the agent on the files in `root`; it never returns."""
    with open(root + "/settings.json") as file:
        settings = json.load(file)
    crashed = machine.reset_cause() == getattr(machine, "WDT_RESET", -1)
    port = Port(machine.reset, time.ticks_ms, was_fault=crashed, trial_inferences=_TRIAL_INFERENCES)
    agent = Agent(root, port)
    run(agent, _link(root, settings, agent), sensor, settings.get("every_ms", 1000))


def _link(root: str, settings: dict, agent: Agent) -> object:
    if "uart" in settings:
        pins = {name: machine.Pin(settings[name]) for name in ("tx", "rx") if name in settings}
        uart = machine.UART(settings["uart"], settings["baud"], rxbuf=2048, **pins)
        return SerialLink(uart, agent.identity["address"], settings["baud"])
    if "wifi" in settings:
        _join(settings["wifi"])
    return MqttLink(agent.identity, settings["host"], settings["port"], tls_context(root) if settings["tls"] else None)


def _join(wifi: dict) -> None:
    import network  # noqa: PLC0415 - boards without a radio lack it

    station = network.WLAN(network.STA_IF)
    station.active(True)  # noqa: FBT003 - MicroPython has no name for it
    station.connect(wifi["ssid"], wifi["password"])
    ends = time.ticks_add(time.ticks_ms(), 1000 * _WIFI_S)
    while not station.isconnected() and time.ticks_diff(ends, time.ticks_ms()) > 0:
        time.sleep_ms(100)
