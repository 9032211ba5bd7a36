# SPDX-License-Identifier: Apache-2.0
"""Emulated boards of both architectures, each on its own serial line that counts the bytes that pass."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from demo.site import LINE, SerialLine, Site
from demo.world import World
from tests.firmware.board import MPS2_AN386, RISCV32_VIRT, Board, Machine, write_flash_file
from tests.firmware.conftest import build

PIECE_BYTES = 64
BAUD = 19200
BOTH = (MPS2_AN386, RISCV32_VIRT)


class CountedLine:
    """The gateway's end of a line to a board's UART; it survives a restart of the board."""

    def __init__(self, outside: Path, uart: Path) -> None:
        self.sent_bytes = 0  # by the gateway
        self._uart = uart
        self._hold_at: int | None = None
        self.holding = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(outside))
        self._listener.listen(1)
        self._plugged: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Disconnect both ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._plugged:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def hold_after(self, count: int) -> None:
        """After this many more bytes, let nothing pass and disconnect."""
        self._hold_at = self.sent_bytes + count

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                gateway, _ = self._listener.accept()
                self._serve(gateway)

    def _serve(self, gateway: socket.socket) -> None:
        """Connect both ends until one of them closes; then the gateway reconnects, as after any lost line."""
        board = socket.socket(socket.AF_UNIX)
        with gateway, board:
            if board.connect_ex(str(self._uart)) != 0:
                return  # the board is off
            self._plugged = [gateway, board]
            back = threading.Thread(target=_pass_on, args=(board, gateway))
            back.start()
            _pass_on(gateway, board, self._may_pass)
            back.join()

    def _may_pass(self, data: bytes) -> bool:
        if self._hold_at is not None and self.sent_bytes >= self._hold_at:
            self._hold_at = None
            self.holding.set()
            return False
        self.sent_bytes += len(data)
        return True


def _pass_on(source: socket.socket, sink: socket.socket, may_pass: Callable[[bytes], bool] = lambda _: True) -> None:
    """Forward bytes until one end closes, or nothing may pass any more."""
    with contextlib.suppress(OSError):
        while (data := source.recv(PIECE_BYTES)) and may_pass(data):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class BoardSite(Site):
    """A gateway with one board of each architecture."""

    def __init__(self, world: World) -> None:
        super().__init__(world, tuple(machine.name for machine in BOTH), SerialLine(BAUD))
        self.boards: dict[str, Board] = {}
        self.lines: dict[str, CountedLine] = {}

    def set_up(self) -> None:
        """Make the site, and configure a line for each board."""
        super().set_up()
        configuration = self.world.folder / "gateway.toml"
        before, _, _ = configuration.read_text().partition("[[serial]]")
        lines = [f'[[serial]]\nname = "{LINE}-{name}"\nport = "unix:{self._line(name)}"\n' for name in self.devices]
        configuration.write_text(before + "".join(lines))

    def start_boards(self) -> None:
        """Power all boards on."""
        for machine in BOTH:
            self._start(machine)

    def cut_power(self, name: str) -> None:
        """Cut a board's power; its flash stays."""
        self.boards[name].kill()

    def close(self) -> None:
        """Power all boards off."""
        for name, board in self.boards.items():
            self.lines[name].close()
            board.kill()

    def first_files(self) -> dict[str, bytes]:
        """Give each board its own line."""
        files = super().first_files()
        (path,) = (path for path in files if path.startswith("devices/"))
        documents = [
            text.replace(f"port: {LINE}".encode(), f"port: {LINE}-{name}".encode())
            for name, text in zip(self.devices, files[path].split(b"---\n"), strict=True)
        ]
        return {**files, path: b"---\n".join(documents)}

    def _start(self, machine: Machine) -> None:
        name = machine.name
        flash, uart = self.world.folder / f"{name}.flash", self.world.folder / f"{name}.uart"
        write_flash_file(machine, flash, {0: (self.world.folder / "images" / name).read_bytes()})
        self.boards[name] = Board(machine, build(name) / "tinyfleet.elf", flash, listen=uart)
        self.boards[name].start()
        self.lines[name] = CountedLine(self._line(name), uart)

    def _line(self, name: str) -> Path:
        return self.world.folder / f"{name}.line"
