# SPDX-License-Identifier: Apache-2.0
"""A serial line between two Unix sockets: half a kilometre of wire that carries so many bits a second, and counts."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from pathlib import Path

BITS_A_BYTE = 10  # start and stop bit counted
LOOK_S = 0.05  # how often an end that is not there is looked for again
CHUNK_BYTES = 8  # so fine is the wire's time divided


class ThrottledLine:
    """Listens at `gateway_end` for the daemon, connects to the board's UART, and passes bytes as slowly as a wire.

    A board without power hears nothing and says nothing; the daemon's end stays as it is, as on a real line.
    """

    def __init__(self, gateway_end: Path, board_end: Path, baud: int) -> None:
        self.to_board_bytes = 0
        self.to_gateway_bytes = 0
        self._board_end = board_end
        self._byte_s = BITS_A_BYTE / baud
        self._free_at_s = 0.0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(gateway_end))
        self._listener.listen(1)
        self._gateway: socket.socket | None = None
        self._board: socket.socket | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        """Lay the wire."""
        self._thread.start()

    def stop(self) -> None:
        """Take it away."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for end in (self._listener, self._gateway, self._board):
            if end is not None:
                end.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._board = self._board or self._plugged()
            ends = {self._listener, self._gateway, self._board} - {None}
            with selectors.DefaultSelector() as selector:
                for end in ends:
                    selector.register(end, selectors.EVENT_READ)  # type: ignore[arg-type]  # None was taken out
                ready = [key.fileobj for key, _ in selector.select(LOOK_S)]
            if self._listener in ready:
                self._gateway, _ = self._listener.accept()
            if self._gateway in ready:
                data = self._carried(self._gateway)
                self._gateway = self._gateway if data else None
                self.to_board_bytes += len(data)
                _hand_over(data, self._board)
            if self._board in ready:
                data = self._carried(self._board)
                self._board = self._board if data else None
                self.to_gateway_bytes += len(data)
                _hand_over(data, self._gateway)

    def _plugged(self) -> socket.socket | None:
        plug = socket.socket(socket.AF_UNIX)
        try:
            plug.connect(str(self._board_end))
        except OSError:
            plug.close()
            return None
        return plug

    def _carried(self, source: socket.socket | None) -> bytes:
        """Take some bytes off one end and let their time go by; nothing: that end is gone."""
        if source is None:
            return b""
        try:
            data = source.recv(CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            source.close()
            return b""
        now_s = time.monotonic()
        self._free_at_s = max(now_s, self._free_at_s) + len(data) * self._byte_s
        self._ended.wait(self._free_at_s - now_s)  # this is the wire
        return data


def _hand_over(data: bytes, sink: socket.socket | None) -> None:
    """Give the other end what was carried. If nobody is there, it was said into the dark."""
    if data and sink is not None:
        with contextlib.suppress(OSError):
            sink.sendall(data)
