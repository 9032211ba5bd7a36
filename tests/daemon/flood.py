# SPDX-License-Identifier: Apache-2.0
"""A client that opens many connections and sends nothing, in a process of its own because of its own descriptors.

`python -m tests.daemon.flood HOST PORT NUMBER` prints how many it has opened, and keeps them until its input ends.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

OTHER_DESCRIPTORS = 100
LIMIT_S = 200.0
AT_ONCE = 100  # connections that are being opened at the same time


@contextmanager
def flooding(host: str, port: int, number: int) -> Iterator[int]:
    """Open this many connections, yield how many of them were accepted, and keep them open for the block."""
    command = [sys.executable, "-m", "tests.daemon.flood", host, str(port), str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        if client.stdin is None or client.stdout is None:
            raise RuntimeError("the client has no pipes")
        try:
            yield int(client.stdout.readline())
        finally:
            client.stdin.close()
            client.wait(LIMIT_S)


def opened(host: str, port: int, number: int) -> list[socket.socket]:
    """Open connections until there are this many, or the time is over."""
    ends_at = time.monotonic() + LIMIT_S
    done: list[socket.socket] = []
    begun = 0
    with selectors.DefaultSelector() as selector:
        while len(done) < number and time.monotonic() < ends_at:
            while begun < number and begun - len(done) < AT_ONCE:
                begun += 1
                _begin(selector, host, port)
            for key, _ in selector.select(0.2):
                connection = key.fileobj
                if not isinstance(connection, socket.socket):
                    continue
                selector.unregister(connection)
                if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    done.append(connection)
                else:
                    connection.close()
                    _begin(selector, host, port)
    return done


def _begin(selector: selectors.BaseSelector, host: str, port: int) -> None:
    connection = socket.socket()
    connection.settimeout(0)
    if connection.connect_ex((host, port)) not in {0, errno.EINPROGRESS}:
        connection.close()
        return
    selector.register(connection, selectors.EVENT_WRITE)


def main() -> None:
    """Open the connections, say how many, and wait."""
    host, port, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(number + OTHER_DESCRIPTORS, hard), hard))
    connections = opened(host, port, number)
    sys.stdout.write(f"{len(connections)}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
