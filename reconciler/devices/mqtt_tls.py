# SPDX-License-Identifier: Apache-2.0
"""TLS of a client of a broker: its certificates, which may be renewed while it runs, and its socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from reconciler.devices.errors import LinkUnusable


class ClientTls:
    """The context of a client, and the files that it is made of."""

    def __init__(self, ca: Path, certificate: Path | None, key: Path | None) -> None:
        self._ca, self._certificate, self._key = ca, certificate, key
        with self._translated():
            self.context = ssl.create_default_context(cafile=str(ca))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.read_again()

    def read_again(self) -> None:
        """Take over what the files contain now; connections that are open keep theirs."""
        with self._translated():
            self.context.load_verify_locations(cafile=self._ca)
            if self._certificate and self._key:
                self.context.load_cert_chain(self._certificate, self._key)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(str(path) for path in (self._ca, self._certificate, self._key) if path)
            raise LinkUnusable(f"can't set up TLS with {named}: {error}") from error


def certificate_ends(connection: ssl.SSLSocket) -> datetime | None:
    """Return when the certificate of the other side expires, after the handshake."""
    ends = (connection.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def send_at_once(opened: object) -> None:
    """Turn Nagle's algorithm off: with a peer that delays its ACKs it holds each small message back for 40 ms."""
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
