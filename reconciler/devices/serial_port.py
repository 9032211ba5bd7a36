# SPDX-License-Identifier: Apache-2.0
"""A real serial line: `/dev/tty…`, a pty, `socket://host:port` (a serial server), or `unix:/path` (a virtual device).

pyserial opens and configures the port. Bytes then go through the file descriptor, so that one event loop serves all
lines without threads.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import Protocol

import serial
import serial.rs485

from reconciler.devices.errors import LineDown, LinkUnusable
from reconciler.devices.line_port import airtime_s

TTY_LATENCY_S = 0.020  # a USB adapter's latency timer
NETWORK_LATENCY_S = 0.250  # a serial server, or a virtual device on a busy machine
TURNAROUND_S = 0.005
TURNAROUND_BYTES = 3
READ_BYTES = 4096


class _Port(Protocol):
    """The common interface of pyserial's ports and sockets."""

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class SerialPort:
    """A `LinePort` for the port that a URL names."""

    def __init__(self, url: str, baud: int, *, rs485: bool = False) -> None:
        self._url = url
        self._baud = baud
        self._rs485 = rs485
        self._port: _Port | None = None
        self._heard = bytearray()
        self._readable = asyncio.Event()
        self._down = ""
        self._last_heard_s = 0.0

    @property
    def baud(self) -> int:
        """Bits per second, start and stop bits counted."""
        return self._baud

    @property
    def latency_s(self) -> float:
        """The delay of an adapter or a network."""
        return NETWORK_LATENCY_S if self._url.startswith(("socket:", "unix:")) else TTY_LATENCY_S

    async def open(self) -> None:
        """Open and configure the port, and discard pending input."""
        self.close()
        try:
            self._port = self._connected()
            os.set_blocking(self._port.fileno(), False)
        except (ValueError, AttributeError) as error:  # an unknown scheme, a port without a file descriptor
            raise LinkUnusable(f"{self._url}: {error}") from error
        except OSError as error:  # pyserial's SerialException is one
            if error.errno == errno.EACCES:
                raise LinkUnusable(
                    f"{self._url}: permission denied: is the daemon's user in the port's group?"
                ) from error
            raise LineDown(f"{self._url}: {error}") from error
        self._down = ""
        self._heard.clear()
        asyncio.get_running_loop().add_reader(self._port.fileno(), self._read)

    def close(self) -> None:
        """Close the port."""
        if self._port:
            with suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(self._port.fileno())
            self._port.close()
            self._port = None

    async def send(self, data: bytes) -> None:
        """Send all of `data`, after the other side has released the line."""
        loop = asyncio.get_running_loop()
        free_s = self._last_heard_s + TURNAROUND_S + airtime_s(TURNAROUND_BYTES, self._baud)
        await asyncio.sleep(max(0.0, free_s - loop.time()))
        rest = memoryview(data)
        while rest:
            fileno = self._fileno()
            try:
                rest = rest[os.write(fileno, rest) :]
            except BlockingIOError:
                await self._until_writable(fileno)
            except OSError as error:
                raise LineDown(f"{self._url}: {error.strerror}") from error

    async def receive(self, within_s: float) -> bytes:
        """Return received bytes; empty if nothing arrives in time."""
        if not self._heard and not self._down:
            self._readable.clear()
            try:
                await asyncio.wait_for(self._readable.wait(), within_s)
            except TimeoutError:
                return b""
        data = bytes(self._heard)
        self._heard.clear()
        if not data and self._down:
            raise LineDown(f"{self._url}: {self._down}")
        return data

    def _connected(self) -> _Port:
        if self._url.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self._url.removeprefix("unix:"))
            except OSError:
                connection.close()
                raise
            return connection
        port = serial.serial_for_url(self._url, baudrate=self._baud, timeout=0, exclusive=True)
        if self._rs485:
            port.rs485_mode = serial.rs485.RS485Settings()
        port.reset_input_buffer()
        return port

    def _fileno(self) -> int:
        if self._port is None or self._down:
            raise LineDown(f"{self._url}: {self._down or 'closed'}")
        return self._port.fileno()

    async def _until_writable(self, fileno: int) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(fileno, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(fileno)

    def _read(self) -> None:
        try:
            data = os.read(self._fileno(), READ_BYTES)
            self._down = "" if data else "the other end closed the connection"
        except BlockingIOError:
            return
        except (OSError, LineDown) as error:
            data, self._down = b"", str(error)
        if self._down and self._port:
            asyncio.get_running_loop().remove_reader(self._port.fileno())
        self._heard += data
        self._last_heard_s = asyncio.get_running_loop().time()
        self._readable.set()
