# SPDX-License-Identifier: Apache-2.0
"""A firmware that was written for an SDK, as a process of Linux: flash in a file, its link as a socket."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.firmware.talk import Device, SerialDevice

ANSWER_S = 5.0
MESSAGE_BYTES = 2048
POWER_CUT = 9  # the exit statuses of firmware/library/contracts/flash_file.h
BROKEN = 10


class PowerOffError(Exception):
    """The process has ended."""


class Life:
    """One life of a device, from power on to power off."""

    def __init__(self, program: Path, flash: Path, *, address: int | None, cut: int = 0) -> None:
        self._program, self._flash, self._address, self._cut = program, flash, address, cut

    def __enter__(self) -> Self:
        kind = socket.SOCK_SEQPACKET if self._address is None else socket.SOCK_STREAM
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, kind)
        environment = {**os.environ, "FLASH": str(self._flash)}
        if self._cut:
            environment["CUT"] = str(self._cut)
        with theirs:
            end = theirs.fileno()
            self._process = subprocess.Popen([self._program], stdin=end, stdout=end, env=environment)
        line = _Line(self._socket)
        self.device: Device = _Messages(line) if self._address is None else SerialDevice(line, self._address)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.kill()
        assert self._process.wait() != BROKEN, "a rule of flash was broken"

    def ended(self) -> int:
        """Wait for the end of the process, and return its exit status."""
        return self._process.wait(ANSWER_S)


class _Line:
    """A socket whose other end may lose its power."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def fileno(self) -> int:
        return self._end.fileno()

    def sendall(self, data: bytes, /) -> None:
        try:
            self._end.sendall(data)
        except OSError:
            raise PowerOffError from None

    def recv(self, most: int, /) -> bytes:
        try:
            data = self._end.recv(most)
        except OSError:
            data = b""
        if not data:
            raise PowerOffError
        return data


class _Messages:
    """A device over MQTT: each packet is a message."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def say(self, message: bytes) -> None:
        self._line.sendall(message)

    def ask(self, message: bytes) -> bytes | None:
        self.say(message)
        return self.hear()

    def hear(self) -> bytes | None:
        readable, _, _ = select.select([self._line], [], [], ANSWER_S)
        return self._line.recv(MESSAGE_BYTES) if readable else None

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)  # the gateway polls at this pace; there is no event to wait for
