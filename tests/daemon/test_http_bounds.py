# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the daemon against clients that open thousands of connections, or are endlessly slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.request
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reconciler.daemon import http_server
from reconciler.daemon.http_server import BACKLOG, HttpBounds
from reconciler.page.page_model import PageModel
from tests.daemon.flood import flooding
from tests.page.fleets import gateway
from tests.page.server import free_port, serving

OTHER_DESCRIPTORS = 20
FD_SETSIZE = 1024  # paho's thread waits with select(), which can't watch a higher descriptor
LARGE = 64 << 20  # more than the buffers of a connection hold
EMPTY = PageModel(gateway(), [], ())


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def connected(stack: ExitStack, address: str) -> socket.socket:
    place = urlsplit(address)
    return stack.enter_context(socket.create_connection((place.hostname or "", place.port or 0), timeout=30))


def asks(connection: socket.socket, path: str = "/healthz") -> bytes:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


def healthy(address: str) -> bool:
    with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:  # noqa: S310 - http
        return bool(answer.read() == b"ok\n")


def test_ten_thousand_connections_take_few_descriptors_and_keep_nobody_out() -> None:
    bounds = HttpBounds()
    with serving(EMPTY, bounds=bounds) as address:
        place = urlsplit(address)
        before = open_descriptors()
        with flooding(place.hostname or "", place.port or 0, 10_000) as accepted:
            assert accepted == 10_000
            assert healthy(address)
            assert open_descriptors() - before <= bounds.connections + BACKLOG + OTHER_DESCRIPTORS
        assert healthy(address)


def test_a_further_connection_displaces_the_one_that_has_been_silent_for_longest() -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(EMPTY, bounds=HttpBounds(connections=3)))
        first, second, third = (connected(stack, address) for _ in range(3))
        assert asks(connected(stack, address)).startswith(b"HTTP/1.1 200 ")
        assert ended(first)
        assert asks(second).startswith(b"HTTP/1.1 200 ")
        assert asks(third).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_sends_no_complete_request_is_disconnected() -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(EMPTY, bounds=HttpBounds(request_s=0.1)))
        slow = connected(stack, address)
        slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        assert ended(slow)
        assert healthy(address)


def test_a_client_that_does_not_read_is_disconnected() -> None:
    async def received() -> int:
        port = free_port()
        pages = {"/large": lambda: (HTTPStatus.OK, http_server.TEXT, bytes(LARGE))}
        async with http_server.serving(f"127.0.0.1:{port}", pages, bounds=HttpBounds(answer_s=0.0)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            count = 0
            with contextlib.suppress(ConnectionResetError):
                while chunk := await reader.read(65536):
                    count += len(chunk)
            writer.close()
            return count

    assert asyncio.run(received()) < LARGE


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    ],
)
def test_what_is_not_http_is_refused(request_bytes: bytes, status: bytes) -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(EMPTY))
        client = connected(stack, address)
        client.sendall(request_bytes)
        assert client.recv(65536).startswith(b"HTTP/1.1 " + status)
        assert healthy(address)


def test_the_unit_allows_the_descriptors_that_the_bounds_need_and_none_that_select_can_not_watch() -> None:
    unit = (Path(__file__).parents[2] / "systemd" / "tinyfleet.service").read_text(encoding="utf-8")
    (limit,) = (int(line.partition("=")[2]) for line in unit.splitlines() if line.startswith("LimitNOFILE="))
    assert 2 * (HttpBounds().connections + BACKLOG) <= limit <= FD_SETSIZE
