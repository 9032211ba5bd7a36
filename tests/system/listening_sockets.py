# SPDX-License-Identifier: Apache-2.0
"""The sockets on which a process and its descendants can be reached, as the kernel lists them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LISTENS, UNCONNECTED = "0A", "07"  # the state of a TCP socket that listens, and of a UDP socket without a peer
TABLES = {"tcp": LISTENS, "tcp6": LISTENS, "udp": UNCONNECTED, "udp6": UNCONNECTED}


def listening_addresses(pid: int) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses; the network namespace of each process is its own."""
    found = set(_of_process(Path(f"/proc/{pid}")))
    for each in _children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found |= listening_addresses(each)
    return found


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in tasks for child in each.read_text(encoding="ascii").split()]


def _of_process(process: Path) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    own = set()
    for each in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile, such as that of this list
            own.add(str(each.readlink()))
    for table, state in TABLES.items():
        for line in (process / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and f"socket:[{fields[9]}]" in own:
                yield _address(fields[1].split(":")[0])


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address: words of 32 bits in the order of this machine."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(words))
