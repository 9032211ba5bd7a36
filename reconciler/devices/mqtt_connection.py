# SPDX-License-Identifier: Apache-2.0
"""A paho client in an event loop: connecting, reconnecting, reading and writing without a thread of its own.

Only an attempt to connect runs in a thread, because name resolution and the TLS handshake block. Everything else,
including the callbacks of the client, runs in the event loop. Packets that are queued in one turn of the loop are
written together at its end. While the receiver is congested nothing is read, and TCP makes the broker wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Callable

from paho.mqtt.client import Client

MISC_EVERY_S = 1.0  # how often paho looks at its keep-alive
CONGESTION_CHECK_S = 0.02
READS_MAX = 64  # calls of paho's reader in one turn of the loop, so that a flood doesn't hold up everything else
GOODBYE_S = 2.0  # how long the last packets may take


class MqttConnection:
    """Keeps a client connected to the broker that its `connect_async` named.

    `on_failure` receives why an attempt to connect or a callback failed; the client reports everything else itself.
    """

    def __init__(
        self,
        client: Client,
        *,
        retry_s: tuple[float, float],
        congested: Callable[[], bool],
        on_failure: Callable[[str], None],
    ) -> None:
        self._client = client
        self._retry_s = retry_s
        self._congested = congested
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1  # of the socket that the loop watches
        self._readable = select.poll()
        self._ended = self._loop.create_future()
        self._connected = False
        self._writing = False
        client.on_socket_register_write = lambda *_: self._schedule_writing()
        client.on_socket_close = lambda *_: self._end()

    async def run(self) -> None:
        """Stay connected until cancelled; wait longer after each attempt that fails."""
        shortest_s, longest_s = self._retry_s
        wait_s = shortest_s
        while True:
            try:
                await self._connect()
            except (OSError, ValueError) as error:  # ssl.CertificateError is a ValueError
                self._on_failure(f"can't connect: {error}")
            else:
                if await self._watch_until_end():
                    wait_s = shortest_s
            await asyncio.sleep(wait_s)  # so that a broker that is down is not flooded with attempts
            wait_s = min(2 * wait_s, longest_s)

    async def close(self) -> None:
        """Write what is queued, disconnect and close the socket."""
        if self._client.socket() is None:
            return
        self._client.disconnect()
        self._client.loop_write()  # usually writes everything, and paho then closes the socket
        if self._descriptor >= 0:
            await asyncio.wait([self._ended], timeout=GOODBYE_S)
        if self._client.socket() is not None:
            self._close_socket()

    async def _connect(self) -> None:
        attempt = asyncio.ensure_future(asyncio.to_thread(self._client.reconnect))
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, ValueError):
                await attempt  # a thread can't be interrupted; paho limits how long it takes
            raise

    async def _watch_until_end(self) -> bool:
        """Read and write until the socket closes; return whether the broker accepted the connection."""
        socket = self._client.socket()
        if socket is None:
            return False
        self._ended, self._connected = self._loop.create_future(), False
        self._descriptor, self._readable = socket.fileno(), select.poll()
        self._readable.register(self._descriptor, select.POLLIN)
        self._loop.add_reader(self._descriptor, self._read)
        self._schedule_writing()
        while not self._ended.done():
            self._client.loop_misc()
            await asyncio.wait([self._ended], timeout=MISC_EVERY_S)
        return self._connected

    # ------------------------------------------------------------ callbacks in the event loop

    def _read(self) -> None:
        try:
            for _ in range(READS_MAX):
                if self._congested():
                    self._loop.remove_reader(self._descriptor)
                    self._loop.call_later(CONGESTION_CHECK_S, self._resume_reading, self._descriptor)
                    return
                self._client.loop_read()
                if not self._has_input():
                    break
        except Exception as error:  # noqa: BLE001 - of a callback; paho would handle the same message at each event
            self._on_failure(f"a message of the broker can't be handled: {error}")
            self._close_socket()
        self._connected = self._connected or self._client.is_connected()

    def _resume_reading(self, descriptor: int) -> None:
        if self._descriptor == descriptor:
            self._loop.add_reader(descriptor, self._read)
            self._read()  # TLS may have buffered what no event announces

    def _has_input(self) -> bool:
        """Return whether there is more to read now, in the socket or inside TLS."""
        socket = self._client.socket()
        if socket is None or self._descriptor < 0:
            return False
        pending = getattr(socket, "pending", None)
        return bool(pending and pending()) or bool(self._readable.poll(0))

    def _schedule_writing(self) -> None:
        """Write at the end of this turn of the loop; before the loop watches a new socket, there is no turn."""
        if self._descriptor >= 0 and not self._writing:
            self._writing = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._writing = False
        if self._descriptor < 0:
            return
        self._client.loop_write()  # which may close the socket
        if self._descriptor < 0:
            return
        if self._client.want_write():
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)

    def _end(self) -> None:
        """Stop watching a socket that paho is about to close."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1
            self._ended.set_result(None)

    def _close_socket(self) -> None:
        """Close the socket at once; what could not be written yet is lost."""
        self._client.disconnect()
        self._client.loop_write()
        socket = self._client.socket()
        if socket is not None:
            self._end()
            socket.close()
            self._client.loop_write()  # fails, and paho takes notice
