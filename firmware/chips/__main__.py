# SPDX-License-Identifier: Apache-2.0
"""Runs the model of a chip as an emulator does: its UART is a socket; a control connection stops it and reads memory.

That connection has the few commands of QEMU's machine protocol (QMP) that tests use, so that they treat both alike.
While the chip sleeps, its time passes at the pace of this machine's clock.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from firmware.chips.models import CHIPS, make
from firmware.chips.processor import Processor

_CHUNK: Final = 4096
_SENT_BYTES_MAX: Final = 1 << 16


class Emulator:
    """A chip, its line and its control connection."""

    def __init__(self, core: Processor, line: socket.socket, control: socket.socket, *, listens: bool) -> None:
        self._core, self._control = core, control
        self._line: socket.socket | None = None
        self._stopped = self._ended = False
        self._wakes = selectors.DefaultSelector()
        self._wakes.register(control, selectors.EVENT_READ, self._obey)
        if listens:
            self._wakes.register(line, selectors.EVENT_READ, lambda: self._connect(line.accept()[0]))
        else:
            self._connect(line)

    def run(self) -> None:
        """Run until the control connection ends."""
        self._answer({"QMP": {}})
        while not self._ended:
            if not self._stopped:
                self._core.step()
                self._send()
            self._wait()

    def _wait(self) -> None:
        """Look for something from outside; a chip that sleeps waits for it until its next event."""
        chip = self._core.chip
        idle = self._stopped or self._core.idle
        left_us = chip.next_event_us() - chip.now_us
        began = time.monotonic()
        for key, _ in self._wakes.select((None if self._stopped else left_us / 1e6) if idle else 0):
            key.data()
        if idle and not self._stopped:
            self._core.sleep(chip.now_us + min(left_us, round((time.monotonic() - began) * 1e6) + 1))

    def _connect(self, line: socket.socket) -> None:
        line.settimeout(0)
        self._line = line
        self._wakes.register(line, selectors.EVENT_READ, self._receive)

    def _receive(self) -> None:
        if self._line is None:
            return
        data = self._line.recv(_CHUNK)
        self._core.chip.received += data
        if not data:
            self._wakes.unregister(self._line)
            self._line = None

    def _send(self) -> None:
        sent = self._core.chip.sent
        if not sent or self._line is None:
            del sent[:-_SENT_BYTES_MAX]
            return
        self._line.settimeout(None)
        self._line.sendall(sent)
        self._line.settimeout(0)
        sent.clear()

    def _obey(self) -> None:
        data = self._control.recv(_CHUNK)
        if not data:
            self._ended = True
            return
        request = json.loads(data)  # short, and the next one is only sent after its answer
        arguments: Mapping[str, str | int] = request.get("arguments", {})
        match request["execute"]:
            case "qmp_capabilities":
                self._answer({"return": {}})
            case "stop":
                self._stopped = True
                self._answer({"return": {}})
            case "memsave" | "pmemsave":
                memory = self._core.memory(int(arguments["val"]), int(arguments["size"]))
                Path(str(arguments["filename"])).write_bytes(memory)
                self._answer({"return": {}})
            case command:
                self._answer({"error": {"desc": f"{command} is not among the commands"}})

    def _answer(self, answer: Mapping[str, object]) -> None:
        self._control.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Run a chip, and name what its firmware did against the rules of flash when it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chip", choices=sorted(CHIPS))
    parser.add_argument("elf", type=Path)
    parser.add_argument("flash", type=Path, help="what the agent's regions have at the start")
    parser.add_argument("--flash-address", type=lambda text: int(text, 0), required=True)
    parser.add_argument("--uart", required=True, help="fd=NUMBER of a connected socket, or path=NAME to listen on")
    parser.add_argument("--control", type=int, required=True, help="file descriptor of the control connection")
    given = parser.parse_args()
    contents = given.flash.read_bytes().rstrip(b"\xff")  # a file of a larger flash is erased behind what the chip has
    core = make(given.chip, given.elf, {given.flash_address: contents})
    how, _, where = given.uart.partition("=")
    if how == "path":
        line = socket.socket(socket.AF_UNIX)
        line.bind(where)
        line.listen(1)
    else:
        line = socket.socket(fileno=int(where))
    Emulator(core, line, socket.socket(fileno=given.control), listens=how == "path").run()
    for violation in core.chip.violations:
        sys.stderr.write(f"{given.chip}: {violation}\n")


if __name__ == "__main__":
    main()
