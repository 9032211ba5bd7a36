# SPDX-License-Identifier: Apache-2.0
"""Runs on MicroPython: a whole device over MQTT with TLS, or on a terminal that stands for a serial line.

A restart ends the process with the code 3; tests/micropython/restarting.py starts it again, as a reset does. While
there is a file golden-fails, every package on trial fails its golden vectors.
"""

import sys
import time
from array import array

from tinyfleet import package
from tinyfleet.agent import Agent
from tinyfleet.files import size_of
from tinyfleet.mqtt import MqttLink
from tinyfleet.port import Port
from tinyfleet.run import run
from tinyfleet.serial import SerialLink
from tinyfleet.tls import tls_context

RESTART = 3
right_window = package.golden_window


def other_window(seed: int, elements: int) -> "array[int]":
    window = right_window(seed, elements)
    for i in range(elements):
        window[i] >>= 9
    return window


def main(root: str, kind: str, *arguments: str) -> None:
    if size_of(root + "/golden-fails"):
        package.golden_window = other_window
    agent = Agent(root, Port(lambda: sys.exit(RESTART), time.ticks_ms))
    if kind == "serial":
        path, baud = arguments
        link = SerialLink(open(path, "r+b"), agent.identity["address"], int(baud))
    else:
        host, port, tls = arguments
        link = MqttLink(agent.identity, host, int(port), tls_context(root) if tls == "tls" else None)
    window = array("h", [(i * 37) % 199 - 99 for i in range(16)])
    run(agent, link, lambda: window, 50)


main(*sys.argv[1:])
