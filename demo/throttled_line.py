# SPDX-License-Identifier: Apache-2.0
"""A simulated serial line between two Unix sockets that limits the bit rate and counts bytes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from pathlib import Path

BITS_PER_BYTE = 10  # including start and stop bit
RETRY_S = 0.05  # between attempts to connect to the board
CHUNK_BYTES = 8  # delivered at once


class ThrottledLine:
    """Listens at `gateway_end` for the daemon, connects to the UART of the board, and passes bytes at the given rate.

    Without power, the board neither receives nor sends; the end of the daemon stays open, as on a real line.
    """

    def __init__(self, gateway_end: Path, board_end: Path, baud: int) -> None:
        self.to_board_bytes = 0
        self.to_gateway_bytes = 0
        self._board_end = board_end
        self._byte_s = BITS_PER_BYTE / baud
        self._free_at_s = 0.0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(gateway_end))
        self._listener.listen(1)
        self._gateway: socket.socket | None = None
        self._board: socket.socket | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        """Start passing bytes."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and close both ends."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for end in (self._listener, self._gateway, self._board):
            if end is not None:
                end.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._board = self._board or self._connect_board()
            ends = {self._listener, self._gateway, self._board} - {None}
            with selectors.DefaultSelector() as selector:
                for end in ends:
                    selector.register(end, selectors.EVENT_READ)  # type: ignore[arg-type]  # None was removed
                ready = [key.fileobj for key, _ in selector.select(RETRY_S)]
            if self._listener in ready:
                self._gateway, _ = self._listener.accept()
            if self._gateway in ready:
                data = self._receive(self._gateway)
                self._gateway = self._gateway if data else None
                self.to_board_bytes += len(data)
                _send(data, self._board)
            if self._board in ready:
                data = self._receive(self._board)
                self._board = self._board if data else None
                self.to_gateway_bytes += len(data)
                _send(data, self._gateway)

    def _connect_board(self) -> socket.socket | None:
        board = socket.socket(socket.AF_UNIX)
        try:
            board.connect(str(self._board_end))
        except OSError:
            board.close()
            return None
        return board

    def _receive(self, source: socket.socket | None) -> bytes:
        """Receive some bytes from one end, and wait as long as the line needs for them. Empty: that end is closed."""
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
        self._ended.wait(self._free_at_s - now_s)  # the time on the line
        return data


def _send(data: bytes, sink: socket.socket | None) -> None:
    """Send bytes to the other end; without a receiver they are lost."""
    if data and sink is not None:
        with contextlib.suppress(OSError):
            sink.sendall(data)
