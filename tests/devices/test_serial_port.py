# SPDX-License-Identifier: Apache-2.0
"""Real ports: a pty, a socket, a unix socket, with a fake device at the other end."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.devices.conversation import Answered, Confirmed, Outcome
from reconciler.devices.errors import LineDown, LinkUnusable
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.model import DeviceId
from tests.devices.fake_device import FakeDevice, FakeStation, job_for, open_fake

BAUD = 4_000_000  # sets the pace, because a pty has no speed
PAYLOAD = bytes(range(256)) * 40
A = DeviceId("a")


async def update_over(url: str) -> Outcome:
    fleet = LinkSession(SerialLink(SerialPort(url, BAUD), {A: 1}), open_fake)
    running = asyncio.create_task(fleet.run())
    try:
        assert isinstance(await fleet.ask(A, ReportKind.REPORT), Answered)
        outcome, _ = await fleet.update(job_for("a", PAYLOAD, block_bytes=1024))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return outcome


def serve(fileno: int, station: FakeStation) -> Callable[[], object]:
    """Serve a station at a file descriptor on the running loop; return a function that ends it."""
    loop = asyncio.get_running_loop()

    def hear() -> None:
        with suppress(OSError):
            said = station.hear(os.read(fileno, 4096), 0.0)
            if said:
                os.write(fileno, said)

    loop.add_reader(fileno, hear)
    return lambda: loop.remove_reader(fileno)


def test_a_pty() -> None:
    async def main() -> Outcome:
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        end = serve(ours, FakeStation(1, FakeDevice()))
        try:
            return await update_over(os.ttyname(theirs))
        finally:
            end()
            os.close(ours)
            os.close(theirs)

    assert isinstance(asyncio.run(main()), Confirmed)


def listener(family: socket.AddressFamily, folder: Path) -> tuple[socket.socket, str]:
    """Return a socket that a port can connect to, and the port's URL."""
    listening = socket.socket(family)
    if family is socket.AF_UNIX:
        listening.bind(str(folder / "line"))
        url = f"unix:{folder / 'line'}"
    else:
        listening.bind(("127.0.0.1", 0))
        url = f"socket://127.0.0.1:{listening.getsockname()[1]}"
    listening.listen()
    return listening, url


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_socket(family: socket.AddressFamily, tmp_path: Path) -> None:
    async def main() -> Outcome:
        listening, url = listener(family, tmp_path)
        ends: list[Callable[[], object]] = []

        def accept() -> None:
            connection, _ = listening.accept()
            ends.append(connection.close)
            ends.append(serve(connection.fileno(), FakeStation(1, FakeDevice())))

        asyncio.get_running_loop().add_reader(listening.fileno(), accept)
        with listening:
            try:
                return await update_over(url)
            finally:
                asyncio.get_running_loop().remove_reader(listening.fileno())
                for end in reversed(ends):
                    end()

    assert isinstance(asyncio.run(main()), Confirmed)


def test_a_missing_port_is_down(tmp_path: Path) -> None:
    for url in (str(tmp_path / "ttyUSB0"), f"unix:{tmp_path / 'line'}", "socket://127.0.0.1:1"):
        with pytest.raises(LineDown):
            asyncio.run(SerialPort(url, BAUD).open())


@pytest.mark.parametrize("url", ["carrier-pigeon://coop", "loop://"])
def test_an_impossible_port_is_unusable(url: str) -> None:
    with pytest.raises(LinkUnusable):
        asyncio.run(SerialPort(url, BAUD).open())


def test_rs485_on_a_port_without_it_is_unusable() -> None:
    ours, theirs = pty.openpty()
    try:
        with pytest.raises(LinkUnusable):
            asyncio.run(SerialPort(os.ttyname(theirs), 9600, rs485=True).open())
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_connection_closed_by_the_other_end_is_detected(tmp_path: Path) -> None:
    async def main() -> None:
        listening, url = listener(socket.AF_UNIX, tmp_path)
        port = SerialPort(url, BAUD)
        with listening:
            await port.open()
            connection, _ = listening.accept()
            with connection:
                await port.send(b"?")
                assert connection.recv(1) == b"?"
                connection.send(b"last words")
                assert await port.receive(5.0) == b"last words"
            with pytest.raises(LineDown, match="closed the connection"):
                await port.receive(5.0)
            with pytest.raises(LineDown):
                await port.send(b"x")
            port.close()

    asyncio.run(main())


def test_data_larger_than_the_buffers_is_sent_completely(tmp_path: Path) -> None:
    async def main() -> int:
        listening, url = listener(socket.AF_UNIX, tmp_path)
        port = SerialPort(url, BAUD)
        with listening:
            await port.open()
            connection, _ = listening.accept()
            connection.settimeout(0)
            with connection:
                sending = asyncio.create_task(port.send(bytes(1_000_000)))
                received = 0
                while received < 1_000_000:
                    received += len(await asyncio.get_running_loop().sock_recv(connection, 65_536))
                await sending
            port.close()
            return received

    assert asyncio.run(main()) == 1_000_000


def test_receive_returns_nothing_after_its_timeout(tmp_path: Path) -> None:
    async def main() -> bytes:
        listening, url = listener(socket.AF_UNIX, tmp_path)
        port = SerialPort(url, BAUD)
        with listening:
            await port.open()
            received = await port.receive(0.01)
            port.close()
            return received

    assert asyncio.run(main()) == b""
