# SPDX-License-Identifier: Apache-2.0
"""Git servers on loopback: `git daemon` and HTTP, working, silent or interrupted."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Loopback:
    """A TCP server that passes each connection to `serve`; `closed` is set once the client closes a silent one."""

    serve: Callable[[socket.socket], None]
    connections: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Loopback]:
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            accepting = threading.Thread(target=self._accept, args=(listener,))
            accepting.start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join()

    def _accept(self, listener: socket.socket) -> None:
        threads = []
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            self.connections += 1
            thread = threading.Thread(target=self._one, args=(connection,))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            self.serve(connection)


def silent(server: list[Loopback]) -> Callable[[socket.socket], None]:
    """Accept, read, and never answer."""

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
        server[0].closed.set()

    return serve


def git_daemon(base: Path, *more: str) -> Callable[[socket.socket], None]:
    """Serve as inetd would: one `git daemon` per connection."""

    def serve(connection: socket.socket) -> None:
        command = ["git", "daemon", "--inetd", "--export-all", *more, f"--base-path={base}", str(base)]
        subprocess.run(
            command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL, check=False
        )

    return serve


def cut_after(count: int, serve: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """Forward up to `count` bytes of the answer of `serve`, then stall with the connection open."""

    def serve_cut(outside: socket.socket) -> None:
        near, far = socket.socketpair()
        with near, far:
            serving = threading.Thread(target=_serve_and_close, args=(serve, far))
            asking = threading.Thread(target=_pump, args=(outside, near, None))
            serving.start()
            asking.start()
            _pump(near, outside, count)
            asking.join()  # ends when the client hangs up
            serving.join()

    return serve_cut


def _serve_and_close(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    serve(connection)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket, most: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(1024):
            passed += len(data)
            if most is None or passed <= most:
                sink.sendall(data)
        if most is None:
            sink.shutdown(socket.SHUT_WR)


class HttpBackend(http.server.BaseHTTPRequestHandler):
    """`git http-backend` behind the standard library's server; requires a password if one is set."""

    server: HttpServer

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _answer(self, body: bytes) -> None:
        if self.server.redirect is not None:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        if self.server.guard is not None and self.headers.get("Authorization") != self.server.expected():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="fleet"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.base),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "fleet",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class HttpServer(http.server.ThreadingHTTPServer):
    """Repositories below `base` on a loopback port."""

    def __init__(
        self,
        base: Path,
        guard: str | None = None,
        redirect: str | None = None,
        certificate: tuple[Path, Path] | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), HttpBackend)
        self.secure = certificate is not None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.base = base
        self.guard = guard
        self.redirect = redirect

    def handle_error(self, *_: object) -> None:
        """Ignore the error: tests want clients to reject our certificate."""

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.server_port}"

    def expected(self) -> str:
        return "Basic " + base64.b64encode(f"gateway:{self.guard}".encode()).decode()

    @contextlib.contextmanager
    def running(self) -> Iterator[HttpServer]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()
