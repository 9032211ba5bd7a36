# SPDX-License-Identifier: Apache-2.0
"""Other protocols on the same line: pySerialTransfer for the forests as JSON, and lrzsz's ZMODEM for the large pack.

The time of pySerialTransfer is computed from the bytes of its packets. It waits for nothing, so this is exact, and
generous (no acknowledgements, no retransmissions). `sz` and `rz` are programs that read the real clock, so they
run in real time on a line with `SPEED_UP` times the speed, including turn-around; the proportions stay the same.
Both directions share the line's time, but never collide, which is generous as well.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import tempfile
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pySerialTransfer import pySerialTransfer  # type: ignore[import-untyped]  # has no types
from sklearn.ensemble import IsolationForest

from reconciler.compiler.forest.training import Floats

SPEED_UP = 8
QUANTUM_BYTES = 24
LATE_S = 0.004  # this process may be late by this much without the line losing time
GIVE_UP_S = 150.0
PACKET_BYTES = 254


@dataclass
class CountedPort:
    """Replaces the serial port of pySerialTransfer."""

    is_open: bool = True
    count: int = 0

    def write(self, data: bytes) -> None:
        """Count the bytes."""
        self.count += len(data)


def forest_json(rows: Floats, trees: int) -> bytes:
    """Return the forest as scikit-learn stores it, with a record for each node."""
    forest = IsolationForest(n_estimators=trees, max_samples=100, random_state=1).fit(rows)
    return json.dumps([_nodes(estimator.tree_) for estimator in forest.estimators_]).encode()


def _nodes(tree: object) -> list[dict[str, object]]:
    fields = ("children_left", "children_right", "feature", "threshold", "impurity", "n_node_samples")
    columns = {name: getattr(tree, name).tolist() for name in fields}
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def serial_transfer_s(data: bytes, baud: int) -> float:
    """Return the time on the wire of pySerialTransfer's packets for `data`."""
    link = pySerialTransfer.SerialTransfer("none", baud=baud, restrict_ports=False)
    port = link.connection = CountedPort()
    for at in range(0, len(data), PACKET_BYTES):
        piece = data[at : at + PACKET_BYTES]
        link.tx_buff[: len(piece)] = list(piece)
        link.send(len(piece))
    return port.count * 10 / baud


@dataclass
class SharedLine:
    """Carries bytes between two programs in real time, in one direction at a time."""

    baud: float
    turnaround_s: float
    bit_error_rate: float
    noise: random.Random
    free_s: float = 0.0
    last: int = -1
    carried: int = 0
    waiting: tuple[deque[bytes], deque[bytes]] = field(default_factory=lambda: (deque(), deque()))

    async def carry(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """Forward bytes until cancelled."""
        loop = asyncio.get_running_loop()
        locks = asyncio.Lock()

        async def one_way(number: int) -> None:
            while data := await loop.sock_recv(ends[number], QUANTUM_BYTES):
                async with locks:
                    await self._occupy(number, len(data))
                with suppress(ConnectionError):
                    await loop.sock_sendall(ends[1 - number], self._damaged(data))

        await asyncio.gather(one_way(0), one_way(1))

    async def _occupy(self, number: int, count: int) -> None:
        now_s = time.monotonic()
        self.free_s = max(now_s - LATE_S, self.free_s) + count * 10 / self.baud
        if number != self.last:
            self.free_s += self.turnaround_s
        self.last = number
        self.carried += count
        await asyncio.sleep(max(0.0, self.free_s - now_s))

    def _damaged(self, data: bytes) -> bytes:
        if not self.bit_error_rate:
            return data
        bits = len(data) * 8
        whole = bytearray(data)
        at = self._gap()
        while at < bits:
            whole[at // 8] ^= 1 << at % 8
            at += 1 + self._gap()
        return bytes(whole)

    def _gap(self) -> int:
        return math.floor(math.log(1 - self.noise.random()) / math.log1p(-self.bit_error_rate))


async def _zmodem(data: bytes, line: SharedLine) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pack").write_bytes(data)
        (folder / "in").mkdir()
        near, sender = socket.socketpair()
        far, receiver = socket.socketpair()
        for end in (near, sender, far, receiver):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)  # buffers no more than a port would
        for end in (near, far):
            end.settimeout(0)
        began_s = time.monotonic()
        carrying = asyncio.create_task(line.carry((near, far)))
        programs = [
            await asyncio.create_subprocess_exec(
                *command, stdin=end.fileno(), stdout=end.fileno(), stderr=asyncio.subprocess.DEVNULL, cwd=cwd
            )
            for command, end, cwd in (
                (("rz", "--quiet", "--binary"), receiver, folder / "in"),
                (("sz", "--quiet", "--binary", "pack"), sender, folder),
            )
        ]
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await asyncio.gather(*(program.wait() for program in programs))
            took_s = time.monotonic() - began_s
            arrived = (folder / "in" / "pack").read_bytes() == data
        except TimeoutError:
            took_s, arrived = math.inf, True
        finally:
            for program in programs:
                if program.returncode is None:
                    program.kill()
                    await program.wait()
            carrying.cancel()
            for end in (near, sender, far, receiver):
                end.close()
        if not arrived:
            raise SystemExit("ZMODEM delivered something else")
        return took_s


def zmodem_overhead_percent(data: bytes, baud: int, turnaround_s: float, bit_error_rate: float) -> float:
    """Return the overhead of ZMODEM over the bare time of the bytes on the wire."""
    line = SharedLine(baud * SPEED_UP, turnaround_s / SPEED_UP, bit_error_rate, random.Random(1))
    took_s = asyncio.run(_zmodem(data, line)) * SPEED_UP
    return (took_s * baud / 10 / len(data) - 1) * 100
