# SPDX-License-Identifier: Apache-2.0
"""The main loop of a device: messages, the agent's own work, and windows from the sensor."""

import sys
import time

from tinyfleet.errors import Refused

_IDLE_MS = 200


def run(agent: object, link: object, sensor: object, every_ms: int = 1000) -> None:
    """Serve the link without an end. `sensor()` returns the samples of a window, or None when there are none."""
    print("tinyfleet on %s %d.%d" % ((sys.implementation.name,) + sys.implementation.version[:2]))
    agent.boot()
    last = time.ticks_ms()
    while True:
        link.serve(agent, 0 if agent.is_busy() else min(_IDLE_MS, every_ms))
        agent.poll()
        if agent.report_due and link.speaks_unasked:
            link.send(agent.report())
        if time.ticks_diff(time.ticks_ms(), last) >= every_ms:
            last = time.ticks_ms()
            _infer(agent, sensor())


def _infer(agent: object, window: object) -> None:
    if window is None or agent.running_digest() is None:
        return
    try:
        agent.infer(window)
    except Refused:
        return  # it is counted, and the report says it
