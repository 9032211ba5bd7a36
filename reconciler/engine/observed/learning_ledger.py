# SPDX-License-Identifier: Apache-2.0
"""What devices last said about forests of their own. It is asked for again after a start, and never kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.devices.reports import DeviceReport, SamplesAttestation
from reconciler.model import DeviceId, LearningProgress


@dataclass(frozen=True, slots=True)
class _Said:
    """The progress, and what it belongs to: another pack, other parameters or a restart may have changed it."""

    progress: LearningProgress
    belongs_to: object


class LearningLedger:
    """The progress of each device that learns. For the event loop's thread only."""

    def __init__(self) -> None:
        self._said: dict[DeviceId, _Said] = {}
        self._snapshot: Mapping[DeviceId, LearningProgress] | None = {}

    @property
    def progress(self) -> Mapping[DeviceId, LearningProgress]:
        """Return the progress of every device that has answered, as a snapshot: unchanged means the same object."""
        if self._snapshot is None:
            self._snapshot = {device: said.progress for device, said in self._said.items()}
        return self._snapshot

    def is_due(self, device: DeviceId, report: DeviceReport) -> bool:
        """Return whether a device may have something new to say."""
        said = self._said.get(device)
        return said is None or not said.progress.settled or said.belongs_to != _belongs_to(report)

    def record(self, device: DeviceId, report: DeviceReport, attestation: SamplesAttestation) -> bool:
        """Record what a device has signed right after a report; return whether its progress differs."""
        progress = attestation.learning
        before = self._said.get(device)
        if progress is None or attestation.running != report.running:
            return False
        self._said[device] = _Said(progress, _belongs_to(report))
        if before is not None and before.progress == progress:
            return False
        self._snapshot = None
        return True

    def keep_only(self, devices: Iterable[DeviceId]) -> None:
        """Forget devices whose model does not learn."""
        for device in self._said.keys() - set(devices):
            del self._said[device]
            self._snapshot = None


def _belongs_to(report: DeviceReport) -> object:
    return report.running, report.parameters, report.boots
