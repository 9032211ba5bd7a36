# SPDX-License-Identifier: Apache-2.0
"""Devices that come back wrong: a sequence that went back, an identity that two devices use.

Only reports that answer a question of ours count, for only they are known to be fresh. What a device runs is no matter
of this module: another model than Git wants is planned away like any difference.

A device's counter only grows while it keeps its flash. Reset to factory, it starts low once and climbs again. When two
devices use one identity, the answers alternate between two counters: back, far ahead, back again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

from reconciler.devices.reports import DeviceReport
from reconciler.engine.state.database import StateDatabase
from reconciler.model import DeviceId

ALTERNATIONS = 2  # once can be a device that was reset and has now outgrown its old counter


@dataclass(frozen=True, slots=True)
class IdentityHistory:
    """What a device's fresh reports said over time, for one public key."""

    device: DeviceId
    public_key: str
    counter: int  # the last
    highest: int  # counter ever
    sequence: int  # the highest that it ever held
    alternations: int = 0

    def followed_by(self, report: DeviceReport) -> IdentityHistory:
        """Take in the next fresh report."""
        outgrew = report.counter > self.highest > self.counter
        return replace(
            self,
            counter=report.counter,
            highest=max(self.highest, report.counter),
            sequence=max(self.sequence, report.sequence),
            alternations=self.alternations + (outgrew or report.counter == self.counter),
        )


class IdentityHistories:
    """The histories of all devices. A new public key in Git begins a new one: that is how a clone is ended."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state
        rows = state.read("SELECT device, public_key, counter, highest, sequence, alternations FROM history")
        self._of = {DeviceId(row[0]): IdentityHistory(*row) for row in rows}
        self._keys: Mapping[DeviceId, str] = {}
        self.behind = set(self._of)  # that may hold less than they once did; after a start all may

    def know(self, public_keys: Mapping[DeviceId, str]) -> None:
        """Take the public keys from Git."""
        self._keys = public_keys

    def take(self, device: DeviceId, report: DeviceReport) -> None:
        """Take in a fresh report."""
        before = self._current(device)
        if before is None:
            public_key = self._keys.get(device, "")
            after = IdentityHistory(device, public_key, report.counter, report.counter, report.sequence)
        else:
            after = before.followed_by(report)
        self._of[device] = after
        if report.sequence < after.sequence:
            self.behind.add(device)
        else:
            self.behind.discard(device)
        self._state.write("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?)", astuple(after))

    def highest_sequence(self, device: DeviceId) -> int:
        """Return the highest sequence that a device ever held: no order may come again that it once obeyed."""
        history = self._current(device)
        return history.sequence if history else 0

    def cloned(self, device: DeviceId) -> bool:
        """Tell whether two devices answer in this name."""
        history = self._current(device)
        return history is not None and history.alternations >= ALTERNATIONS

    def forget(self, device: DeviceId) -> None:
        """Forget a device; the state has been told already."""
        self._of.pop(device, None)
        self.behind.discard(device)

    def _current(self, device: DeviceId) -> IdentityHistory | None:
        history = self._of.get(device)
        return history if history is not None and history.public_key == self._keys.get(device, "") else None
