# SPDX-License-Identifier: Apache-2.0
"""How soon other gateways would be done, as far as their answers show. For the event loop's thread only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.operations.resolution import NodeLoad

WEIGHT = 1 / 4  # of a new figure


@dataclass(slots=True)
class _ServerFigures:
    """What is known of one gateway."""

    waiting: int = 0  # our requests
    stated: int = 0  # requests of all, when it last said so
    waiting_max: int = 1
    round_trip_s: float | None = None
    service_s: float = 0.0


class ServerLoads:
    """The loads of gateways that were asked before."""

    def __init__(self) -> None:
        self._seen: dict[str, _ServerFigures] = {}

    def loads(self, silent: frozenset[str]) -> Mapping[str, NodeLoad]:
        """Return the loads of those that answer."""
        return {
            name: NodeLoad(seen.round_trip_s or 0.0, max(seen.waiting, seen.stated), seen.waiting_max, seen.service_s)
            for name, seen in self._seen.items()
            if name not in silent and seen.round_trip_s is not None
        }

    def stated(self, server: str, load: NodeLoad) -> None:
        """Take in the load that a gateway reports."""
        seen = self._of(server)
        seen.stated, seen.waiting_max, seen.service_s = load.waiting, load.waiting_max, load.service_s

    def heard(self, server: str, round_trip_s: float) -> None:
        """Take in how long it took to be heard."""
        seen = self._of(server)
        known = seen.round_trip_s
        seen.round_trip_s = round_trip_s if known is None else known + (round_trip_s - known) * WEIGHT

    def worked(self, server: str, seconds: float) -> None:
        """Take in how long a request took there; it may have waited for our other ones."""
        seen = self._of(server)
        seen.stated = 0
        seen.service_s += (seconds / max(1, seen.waiting) - seen.service_s) * WEIGHT

    @contextmanager
    def request(self, server: str) -> Iterator[None]:
        """Count a request while it waits."""
        seen = self._of(server)
        seen.waiting += 1
        try:
            yield
        finally:
            seen.waiting -= 1

    def _of(self, server: str) -> _ServerFigures:
        return self._seen.setdefault(server, _ServerFigures())
