# SPDX-License-Identifier: Apache-2.0
"""Runs on MicroPython: an agent on the files of a folder, driven by one command a line; one answer a line.

A restart of the device is a new agent on the same files. Time passes only by the command `pass`.
"""

import json
import sys
from array import array
from binascii import hexlify, unhexlify

from tinyfleet.agent import Agent
from tinyfleet.errors import Refused
from tinyfleet.port import Port


class Device:
    def __init__(self, root: str) -> None:
        self.root = root
        self.now = 0
        self.restarts = 0
        self.restarting = False
        self.trial_inferences = 1
        self.agent: Agent | None = None

    def request_restart(self) -> None:
        self.restarting = True

    def on_boot(self, was_fault: str = "0") -> str:
        port = Port(
            self.request_restart, lambda: self.now, was_fault=was_fault == "1", trial_inferences=self.trial_inferences
        )
        self.restarting = False
        self.agent = Agent(self.root, port)
        self.agent.boot()
        return "booted"

    def on_handle(self, message: str, corrected: str = "0") -> str:
        return self.word(self.agent.handle(unhexlify(message), corrected=corrected == "1"))

    def on_settle(self) -> str:
        """Work until nothing is left to do, over restarts."""
        while True:
            self.agent.poll()
            if self.restarting:
                self.restarts += 1
                self.on_boot()
            elif not self.agent.is_busy():
                return str(self.restarts)

    def on_poll(self) -> str:
        self.agent.poll()
        return str(int(self.restarting))

    def on_report(self) -> str:
        return self.word(self.agent.report()) if self.agent.report_due else "-"

    def on_infer(self, window: str) -> str:
        try:
            return "%d %d" % self.agent.infer(array("h", unhexlify(window)))
        except Refused as refused:
            return "refused %d" % refused.code

    def on_pass(self, milliseconds: str) -> str:
        self.now += int(milliseconds)
        return str(self.now)

    def on_implementation(self) -> str:
        return sys.implementation.name

    def on_trial_inferences(self, count: str) -> str:
        self.trial_inferences = int(count)
        return count

    def on_state(self) -> str:
        return json.dumps(self.agent.state.to_dict())

    def word(self, data: bytes) -> str:
        return hexlify(data).decode() or "-"


def main() -> None:
    device = Device(sys.argv[1])
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        command, *arguments = line.split()
        print(getattr(device, "on_" + command)(*arguments))


main()
