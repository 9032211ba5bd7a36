# SPDX-License-Identifier: Apache-2.0
"""A serial line on a Unix socket with a man in the middle, who answers in the name of devices."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from demo.site import Site
from reconciler.devices.messages import encode, parse
from reconciler.devices.serial_frame import Deframer, encode_frame
from tests.devices.man_in_the_middle import CODED_BYTES_MAX, Attack

WAIT_S = 20.0


class AttackedLine:
    """Passes on everything between a gateway at `path` and devices at `behind`, except what an attack answers."""

    def __init__(self, path: Path, behind: Path, attacks: Mapping[int, Attack]) -> None:
        self.forged: Counter[int] = Counter()  # answers by address
        self._attacks = dict(attacks)
        self._behind = behind
        self._deframer = Deframer(coded_bytes_max=CODED_BYTES_MAX)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._wakes, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="man in the middle")
        self._thread.start()

    @classmethod
    def of(cls, site: Site, attacks: Mapping[str, Attack]) -> AttackedLine:
        """Put a man in the middle between the gateway of a site, which is not started yet, and its devices."""
        folder = site.world.folder
        toml = folder / "gateway.toml"
        before = toml.read_text()
        after = before.replace(f"unix:{folder}/line", f"unix:{folder}/attacked")
        assert after != before
        toml.write_text(after)
        by_address = {site.devices.index(device) + 1: attack for device, attack in attacks.items()}
        return cls(folder / "attacked", folder / "line", by_address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()
        self.close()

    def give_up(self) -> None:
        """Attack no longer."""
        self._attacks.clear()

    def close(self) -> None:
        """End it, with its connections."""
        self._waker.close()
        self._thread.join(WAIT_S)
        for end in (self._listener, self._wakes):
            end.close()

    def _serve(self) -> None:
        while self._listener in _readable(self._listener, self._wakes):
            gateway, _ = self._listener.accept()
            with gateway, socket.socket(socket.AF_UNIX) as devices:
                devices.connect(str(self._behind))
                self._relay(gateway, devices)

    def _relay(self, gateway: socket.socket, devices: socket.socket) -> None:
        while True:
            ready = _readable(gateway, devices, self._wakes)
            if self._wakes in ready:
                return
            for end in ready:
                data = end.recv(4096)
                if not data:
                    return
                if end is devices:
                    gateway.sendall(data)
                else:
                    self._pass_or_answer(data, gateway, devices)

    def _pass_or_answer(self, data: bytes, gateway: socket.socket, devices: socket.socket) -> None:
        for frame in self._deframer.feed(data):
            attack = self._attacks.get(frame.address)
            forged = attack(parse(frame.message)) if attack is not None else None
            if forged is None:
                devices.sendall(encode_frame(frame.address, frame.message, opening=True))
            elif forged.answer is not None:
                self.forged[frame.address] += 1
                gateway.sendall(encode_frame(frame.address, encode(forged.answer), opening=True))


def _readable(*ends: socket.socket) -> set[socket.socket]:
    """Wait until one of the sockets has something to read; return those that do."""
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        return {key.fileobj for key, _ in selector.select() if isinstance(key.fileobj, socket.socket)}
