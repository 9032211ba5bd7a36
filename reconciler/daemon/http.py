# SPDX-License-Identifier: Apache-2.0
"""Metrics and health over HTTP on loopback: three paths, read-only, on the daemon's own event loop.

So what is told is one moment of the engine without a lock, and a loop that hangs does not call itself healthy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

log = logging.getLogger(__name__)

REQUEST_S = 5.0
REQUEST_BYTES = 8192
TEXT = "text/plain; charset=utf-8"


Answer = tuple[HTTPStatus, str, bytes]


def plain(why_not: str | None) -> Answer:
    """Answer 200, or 503 with the reason."""
    status = HTTPStatus.OK if why_not is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, TEXT, f"{why_not or 'ok'}\n".encode()


def metrics(exposition: Callable[[], bytes]) -> Callable[[], Answer]:
    """Answer a scrape."""
    return lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, exposition())


@asynccontextmanager
async def serving(listen: str, pages: dict[str, Callable[[], Answer]]) -> AsyncIterator[None]:
    """Serve while this lasts. An address that can't be had costs the metrics, not the fleet."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_S):
                writer.write(_answered(await reader.readuntil(b"\r\n\r\n"), pages))
                await writer.drain()
        writer.close()

    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    try:
        server = await asyncio.start_server(handle, host.strip("[]"), int(port), limit=REQUEST_BYTES)
    except OSError as error:
        log.warning("no metrics and no health at %s: %s", listen, error.strerror)
        yield
        return
    async with server:
        yield


def _answered(request: bytes, pages: dict[str, Callable[[], Answer]]) -> bytes:
    method, _, rest = request.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    page = pages.get(rest.partition(" ")[0].partition("?")[0])
    if method not in {"GET", "HEAD"}:
        status, kind, body = HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"only GET\n"
    elif page is None:
        status, kind, body = HTTPStatus.NOT_FOUND, TEXT, f"there is {' '.join(pages)}\n".encode()
    else:
        status, kind, body = page()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)
