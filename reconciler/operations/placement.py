# SPDX-License-Identifier: Apache-2.0
"""Which nodes hold a function: a rendezvous hash, the same everywhere without a coordinator.

When a node leaves, only the functions that it held move; when one joins, only those that it takes over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def holders(function: str, nodes: Iterable[str], replicas: int) -> tuple[str, ...]:
    """Return the nodes that hold a function, the first choice first."""
    return tuple(sorted(set(nodes), key=lambda node: (_weight(function, node), node), reverse=True)[:replicas])


def _weight(function: str, node: str) -> bytes:
    return hashlib.sha256(f"{function}\0{node}".encode()).digest()
