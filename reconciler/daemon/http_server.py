# SPDX-License-Identifier: Apache-2.0
"""Serves metrics, health and the fleet page over HTTP: read-only, on the daemon's own event loop.

Each response is therefore a consistent snapshot of the engine without locks, and a loop that hangs can't report itself
healthy. h11 reads and writes HTTP; the bounds on connections and time are here (docs/adr/0081).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import h11
from prometheus_client import CONTENT_TYPE_LATEST

from reconciler.page.stylesheet import HEADERS

log = logging.getLogger(__name__)

BACKLOG = 100  # accepted in one turn of the loop: so few that a request is read before its connection is displaced
REQUEST_BYTES = 8192
READ_BYTES = 4096
# The client disconnected or is too slow, or the daemon is stopping (asyncio would log a cancelled handler as a bug).
GONE = (OSError, TimeoutError, asyncio.CancelledError)
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


Answer = tuple[HTTPStatus, str, bytes]
Site = Callable[[str, str], bytes | None]  # from path and query string to a page; None if there is none


def plain(problem: str | None) -> Answer:
    """Answer 200, or 503 with the problem."""
    status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, TEXT, f"{problem or 'ok'}\n".encode()


def metrics(exposition: Callable[[], bytes]) -> Callable[[], Answer]:
    """Answer a scrape."""
    return lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, exposition())


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """What clients may take."""

    connections: int = 400
    request_s: float = 5.0
    answer_s: float = 30.0  # for a client that reads slowly


class OpenConnections:
    """The open connections, at most a fixed number.

    A further one displaces the one that has waited longest for its request, or for its client to read: a client that
    opens thousands and sends nothing displaces only its own, while a request that arrives is answered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._silent: dict[asyncio.WriteTransport, None] = {}  # in the order of their arrival
        self._answered: dict[asyncio.WriteTransport, None] = {}

    @contextmanager
    def admitted(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Count a connection for the duration of the context, and end it unless everything was sent."""
        if len(self._silent) + len(self._answered) >= self._most:
            crowd = self._silent or self._answered
            oldest = next(iter(crowd))
            del crowd[oldest]
            oldest.abort()
        self._silent[transport] = None
        try:
            yield
        except BaseException:
            transport.abort()
            raise
        finally:
            self._silent.pop(transport, None)
            self._answered.pop(transport, None)
            transport.close()

    def has_asked(self, transport: asyncio.WriteTransport) -> None:
        """Note that the request has arrived."""
        self._silent.pop(transport, None)
        self._answered[transport] = None


@asynccontextmanager
async def serving(
    listen: str,
    pages: dict[str, Callable[[], Answer]],
    site: Site | None = None,
    name: str = "",
    bounds: HttpBounds | None = None,
) -> AsyncIterator[None]:
    """Serve for the duration of the context. If the address is taken, the daemon runs without metrics."""
    bounds = bounds or HttpBounds()
    connections, turn = OpenConnections(bounds.connections), asyncio.Lock()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*GONE), connections.admitted(writer.transport):
            peer = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES)
            async with asyncio.timeout(bounds.request_s):
                request = await _request(reader, peer)
            if request is None:
                return
            connections.has_asked(writer.transport)
            async with turn:  # one answer in each turn of the loop: the engine has work to do between two of them
                writer.write(_encode(peer, request, _answer(request, pages, site, names)))
                await asyncio.sleep(0)  # yields to the engine while the turn is held
            writer.transport.set_write_buffer_limits(0)  # `drain` then waits until everything is sent
            async with asyncio.timeout(bounds.answer_s):
                await writer.drain()

    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    names = frozenset({"localhost", host.strip("[]").lower(), name.lower()}) - {""}
    try:
        server = await asyncio.start_server(handle, host.strip("[]"), int(port), limit=REQUEST_BYTES, backlog=BACKLOG)
    except OSError as error:
        log.warning("no metrics and health checks: can't listen on %s: %s", listen, error.strerror)
        yield
        return
    async with server:
        yield


Request = h11.Request | h11.RemoteProtocolError  # what arrived, or what is wrong with it


async def _request(reader: asyncio.StreamReader, peer: h11.Connection) -> Request | None:
    """Read the head of a request; None: the client has gone."""
    while True:
        try:
            event = peer.next_event()
        except h11.RemoteProtocolError as error:
            return error
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        peer.receive_data(await reader.read(READ_BYTES))


def _answer(
    request: Request, pages: dict[str, Callable[[], Answer]], site: Site | None, names: frozenset[str]
) -> Answer:
    if isinstance(request, h11.RemoteProtocolError):
        return HTTPStatus(request.error_status_hint), TEXT, f"{request}\n".encode()
    rejection = _misdirected(request, names)
    if rejection is not None:
        return rejection
    if request.method not in {b"GET", b"HEAD"}:
        return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"only GET\n"
    path, _, query = request.target.decode("latin-1").partition("?")
    page = pages.get(path)
    if page is not None:
        return page()
    content = site(path, query) if site is not None else None
    if content is not None:
        return HTTPStatus.OK, HTML, content
    return (
        HTTPStatus.NOT_FOUND,
        TEXT,
        f"not found; try {' '.join([*(['/'] if site is not None else []), *pages])}\n".encode(),
    )


def _misdirected(request: h11.Request, names: frozenset[str]) -> Answer | None:
    """Reject a foreign Host header: a web site may point its name at this address (DNS rebinding)."""
    hosts = [value.decode("latin-1") for key, value in request.headers if key == b"host"]  # h11 allows at most one
    if all(_is_ours(host, names) for host in hosts):
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


def _encode(peer: h11.Connection, request: Request, answer: Answer) -> bytes:
    status, kind, body = answer
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **HEADERS}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields["Allow"] = "GET, HEAD"
    response = h11.Response(status_code=status.value, headers=list(fields.items()), reason=status.phrase)
    head = peer.send(response) or b""
    return head if isinstance(request, h11.Request) and request.method == b"HEAD" else head + body
