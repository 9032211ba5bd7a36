# SPDX-License-Identifier: Apache-2.0
"""Clones and factory resets, found in the counters and sequences that devices report over time.

Only reports that answer a question of this gateway count, because only they are known to be fresh.

A device's counter only grows while it keeps its flash. After a factory reset it starts low once and climbs again. When
two devices use one identity, the answers alternate between two counters: back, far ahead, back again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.devices.reports import DeviceReport
from reconciler.engine.state.reader import StateReader
from reconciler.engine.state.records import IdentityRecord
from reconciler.model import DeviceId

ALTERNATIONS = 2  # one can be a device that was reset and has now outgrown its old counter


def followed_by(record: IdentityRecord, report: DeviceReport) -> IdentityRecord:
    """Add the next fresh report to a device's history."""
    outgrew = report.counter > record.max_counter > record.counter
    return replace(
        record,
        counter=report.counter,
        max_counter=max(record.max_counter, report.counter),
        max_sequence=max(record.max_sequence, report.sequence),
        alternations=record.alternations + (outgrew or report.counter == record.counter),
    )


class IdentityHistories:
    """The histories of all devices. A new public key in Git starts a new one: that is how an operator ends a clone."""

    def __init__(self, state: StateReader) -> None:
        self._of = {record.device: record for record in state.identities()}
        self._keys: Mapping[DeviceId, str] = {}
        self.behind: set[DeviceId] = set()  # devices that may hold a lower sequence than before

    def set_public_keys(self, public_keys: Mapping[DeviceId, str]) -> None:
        """Take the public keys from Git."""
        self._keys = public_keys

    def record(self, device: DeviceId, report: DeviceReport) -> None:
        """Add a fresh report; the caller saves the history."""
        before = self._current(device)
        if before is None:
            public_key = self._keys.get(device, "")
            after = IdentityRecord(device, public_key, report.counter, report.counter, report.sequence)
        else:
            after = followed_by(before, report)
        self._of[device] = after
        self.compare(device, report)

    def compare(self, device: DeviceId, report: DeviceReport) -> None:
        """Note whether a device holds a lower sequence than before."""
        history = self._of.get(device)
        if history is not None and report.sequence < history.max_sequence:
            self.behind.add(device)
        else:
            self.behind.discard(device)

    def max_sequence(self, device: DeviceId) -> int:
        """Return the highest sequence that a device ever held: no order that it once obeyed may be sent again."""
        record = self._current(device)
        return record.max_sequence if record else 0

    def cloned(self, device: DeviceId) -> bool:
        """Return whether two devices answer under this name."""
        record = self._current(device)
        return record is not None and record.alternations >= ALTERNATIONS

    def of(self, devices: Iterable[DeviceId]) -> list[IdentityRecord]:
        """Return the known histories of these devices."""
        return [self._of[device] for device in devices if device in self._of]

    def forget(self, device: DeviceId) -> None:
        """Forget a device in memory; the caller deletes it from the database."""
        self._of.pop(device, None)
        self.behind.discard(device)

    def _current(self, device: DeviceId) -> IdentityRecord | None:
        record = self._of.get(device)
        return record if record is not None and record.public_key == self._keys.get(device, "") else None
