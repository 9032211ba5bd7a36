# SPDX-License-Identifier: Apache-2.0
"""The list of sockets finds each kind, and only those that can be reached."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

from tests.system.listening_sockets import listening_addresses


def test_each_kind_of_socket_is_found() -> None:
    with ExitStack() as opened:

        def bound(family: int, kind: int, address: str) -> socket.socket:
            made = opened.enter_context(socket.socket(family, kind))
            made.bind((address, 0))
            return made

        bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.3")  # does not listen
        bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.2").listen()
        bound(socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.4")
        bound(socket.AF_INET6, socket.SOCK_STREAM, "::1").listen()
        bound(socket.AF_INET6, socket.SOCK_DGRAM, "::")
        found = {str(each) for each in listening_addresses(os.getpid())}
    assert {"127.0.0.2", "127.0.0.4", "::1", "::"} <= found
    assert "127.0.0.3" not in found
