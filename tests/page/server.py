# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the daemon on a free port, with a static fleet."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.daemon import http_server
from reconciler.daemon.http_server import HttpBounds
from reconciler.page.page_model import PageModel
from reconciler.page.routes import exists, served
from tests.page.fleets import detail


@contextmanager
def serving(fleet: PageModel, name: str = "", bounds: HttpBounds | None = None) -> Iterator[str]:
    """Serve a fleet from a thread; yields the address."""
    port = free_port()
    up = threading.Event()
    ends: list[Callable[[], object]] = []

    def site(path: str, query: str) -> bytes | None:
        return served(path, query, fleet, lambda device: detail(fleet, device)) if exists(path) else None

    async def serve() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(stop.set))
        pages = {"/healthz": lambda: http_server.plain(None)}
        async with http_server.serving(f"127.0.0.1:{port}", pages, site, name, bounds):
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ends[0]()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
