# SPDX-License-Identifier: Apache-2.0
"""Serves metrics, health and the fleet page over HTTP: read-only, on the daemon's own event loop.

Each response is therefore a consistent snapshot of the engine without locks, and a loop that hangs can't report itself
healthy.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

from reconciler.page.stylesheet import HEADERS

log = logging.getLogger(__name__)

REQUEST_S = 5.0
REQUEST_BYTES = 8192
# The client disconnected or sent too much, or the daemon is stopping (asyncio would log a cancelled handler as a bug).
GONE = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


Answer = tuple[HTTPStatus, str, bytes]
Site = Callable[[str, str], bytes | None]  # from path and query string to a page; None if there is none


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The parts of a request that matter."""

    method: str
    path: str
    query: str
    hosts: tuple[str, ...]  # exactly one in a valid request
    version: str


def plain(problem: str | None) -> Answer:
    """Answer 200, or 503 with the problem."""
    status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, TEXT, f"{problem or 'ok'}\n".encode()


def metrics(exposition: Callable[[], bytes]) -> Callable[[], Answer]:
    """Answer a scrape."""
    return lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, exposition())


@asynccontextmanager
async def serving(
    listen: str, pages: dict[str, Callable[[], Answer]], site: Site | None = None, name: str = ""
) -> AsyncIterator[None]:
    """Serve for the duration of the context. If the address is taken, the daemon runs without metrics."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(*GONE):
            async with asyncio.timeout(REQUEST_S):
                request = parsed(await reader.readuntil(b"\r\n\r\n"))
                writer.write(_encode(request, _answer(request, pages, site, names)))
                await writer.drain()

    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    names = frozenset({"localhost", host.strip("[]").lower(), name.lower()}) - {""}
    try:
        server = await asyncio.start_server(handle, host.strip("[]"), int(port), limit=REQUEST_BYTES)
    except OSError as error:
        log.warning("no metrics and health checks: can't listen on %s: %s", listen, error.strerror)
        yield
        return
    async with server:
        yield


def parsed(head: bytes) -> HttpRequest:
    """Parse the head of a request; other headers are ignored."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    path, _, query = target.partition("?")
    fields = (line.partition(":") for line in lines)
    hosts = tuple(value.strip() for key, _, value in fields if key.lower() == "host")
    return HttpRequest(method, path, query, hosts, version)


def _answer(
    request: HttpRequest, pages: dict[str, Callable[[], Answer]], site: Site | None, names: frozenset[str]
) -> Answer:
    rejection = _misdirected(request, names)
    if rejection is not None:
        return rejection
    if request.method not in {"GET", "HEAD"}:
        return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"only GET\n"
    page = pages.get(request.path)
    if page is not None:
        return page()
    content = site(request.path, request.query) if site is not None else None
    if content is not None:
        return HTTPStatus.OK, HTML, content
    return (
        HTTPStatus.NOT_FOUND,
        TEXT,
        f"not found; try {' '.join([*(['/'] if site is not None else []), *pages])}\n".encode(),
    )


def _misdirected(request: HttpRequest, names: frozenset[str]) -> Answer | None:
    """Reject a foreign Host header: a web site may point its name at this address (DNS rebinding)."""
    if len(request.hosts) > 1 or (not request.hosts and request.version != "HTTP/1.0"):
        return HTTPStatus.BAD_REQUEST, TEXT, b"expected one Host header\n"
    if all(_is_ours(host, names) for host in request.hosts):
        return None
    text = b"unknown host name: use an IP address, or set name in [http] of gateway.toml\n"
    return HTTPStatus.MISDIRECTED_REQUEST, TEXT, text


def _is_ours(host: str, names: frozenset[str]) -> bool:
    bare, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        bare = host
    bare = bare.removeprefix("[").removesuffix("]").lower()
    if bare in names:
        return True
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True  # an IP address can't be rebound


def _encode(request: HttpRequest, answer: Answer) -> bytes:
    status, kind, body = answer
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **HEADERS}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields["Allow"] = "GET, HEAD"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + (
        b"" if request.method == "HEAD" else body
    )
