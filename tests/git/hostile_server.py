# SPDX-License-Identifier: Apache-2.0
"""Git servers that answer without end, and a client that says what they cost it.

`python -m tests.git.hostile_server URL FOLDER` polls a server as a gateway does, and prints the outcome as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from reconciler.errors import FleetError
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource, Kept
from tests.git.servers import Loopback

TIP = "1" * 40
FLUSH = b"0000"
LIMITS = GitLimits(ask_s=200.0, transfer_s=200.0)
REFS_AT_ONCE = 1000
SIDEBAND_BYTES = 65_500

Serve = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Cost:
    """What one poll of a server came to."""

    reason: str
    message: str
    git_mib: float  # of the largest process of git
    gateway_mib: float  # of the process that polled


def packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def endless_refs(connection: socket.socket) -> None:
    """Answer the first question with refs, and never end."""
    connection.recv(4096)
    with contextlib.suppress(OSError):
        connection.sendall(packet(f"{TIP} HEAD\0side-band-64k\n".encode()))
        for first in itertools.count(0, REFS_AT_ONCE):
            names = range(first, first + REFS_AT_ONCE)
            connection.sendall(b"".join(packet(f"{TIP} refs/heads/{name:0100}\n".encode()) for name in names))


def endless_matching_refs(connection: socket.socket) -> None:
    """Answer a question for status branches with branches that match, and never end."""
    connection.recv(4096)
    with contextlib.suppress(OSError):
        connection.sendall(packet(f"{TIP} refs/heads/main\0side-band-64k\n".encode()))
        for first in itertools.count(0, REFS_AT_ONCE):
            names = range(first, first + REFS_AT_ONCE)
            connection.sendall(b"".join(packet(f"{TIP} refs/heads/status/{name:09}\n".encode()) for name in names))


def endless_sideband(text: bytes) -> Serve:
    """Offer one commit; instead of its objects, send messages for the terminal."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        with contextlib.suppress(OSError):
            connection.sendall(packet(f"{TIP} refs/heads/main\0side-band-64k shallow\n".encode()) + FLUSH)
            asked = b""
            while not asked.endswith(b"done\n") and (more := connection.recv(4096)):
                asked += more
                if asked.endswith(FLUSH) and b"deepen" in asked and b"done" not in asked:
                    connection.sendall(packet(f"shallow {TIP}".encode()) + FLUSH)
            if not asked.endswith(b"done\n"):
                return
            connection.sendall(packet(b"NAK\n"))
            message = packet(b"\2" + (text * (SIDEBAND_BYTES // len(text))))
            while True:
                connection.sendall(message)

    return serve


def cost_of(serve: Serve, folder: Path, *, peers: bool = False) -> Cost:
    """Serve on a loopback port, and poll it from a process of its own, whose children are only those of git."""
    with Loopback(serve).running() as server:
        url = f"git://127.0.0.1:{server.port}/fleet.git"
        command = [sys.executable, "-m", "tests.git.hostile_server", url, str(folder), *(["peers"] if peers else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=250)
    return Cost(**json.loads(done.stdout))


def polled(url: str, folder: Path) -> Iterator[str]:
    """Poll as a gateway does; yield reason and message."""
    remote = Remote(url)
    with Mirror(folder / "mirror.git", remote, LIMITS) as mirror:
        outcome = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), folder / "state").poll(None)
    if not isinstance(outcome, Kept):
        raise TypeError(f"the server had nothing to offer, but: {outcome}")
    yield outcome.reason
    yield outcome.message


def peers(url: str, folder: Path) -> Iterator[str]:
    """Ask for the status branches of other gateways; yield reason and message."""
    with Mirror(folder / "peers.git", Remote(url), LIMITS) as mirror:
        try:
            mirror.list_refs("refs/heads/status/*")
        except FleetError as failure:
            yield failure.reason
            yield str(failure)


def main() -> None:
    """Poll once, and print what came of it."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    reason, message = (peers if sys.argv[3:] else polled)(url, folder)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cost = Cost(reason, message, git_mib=children, gateway_mib=_most_mib())
    sys.stdout.write(json.dumps(asdict(cost)))


def _most_mib() -> float:
    """Return the most memory that this process had. Its `ru_maxrss` begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
