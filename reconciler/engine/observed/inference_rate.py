# SPDX-License-Identifier: Apache-2.0
"""How fast devices infer: what they counted between two answers, divided by the time between them.

A count alone says nothing about speed: it started at a boot that this gateway did not see, perhaps a year ago. The time
comes from the steady clock: correcting the calendar must not make a model look slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.devices.reports import DeviceReport
from reconciler.model import DeviceId

MIN_INFERENCES = 20  # with fewer, the moments at which the two answers came dominate the rate


@dataclass(frozen=True, slots=True)
class _CountSample:
    running: bytes | None
    boots: int
    inferences: int
    at_s: float


class InferenceRates:
    """The inference rates of all devices since this gateway started."""

    def __init__(self, steady_s: Callable[[], float]) -> None:
        self._steady_s = steady_s
        self._samples: dict[DeviceId, tuple[_CountSample, _CountSample]] = {}  # first and last of a boot with a pack

    def record(self, device: DeviceId, report: DeviceReport) -> None:
        """Add an answer that has just arrived."""
        sample = _CountSample(report.running, report.boots, report.inferences, self._steady_s())
        first, last = self._samples.get(device, (sample, sample))
        same_boot = (first.running, first.boots) == (sample.running, sample.boots)
        goes_on = same_boot and last.inferences <= sample.inferences
        self._samples[device] = (first if goes_on else sample, sample)

    def seconds_for(self, device: DeviceId, running: bytes, inferences: int) -> float | None:
        """Return how long a device takes for this many inferences with the pack that it runs; None: unknown yet."""
        if device not in self._samples:
            return None
        first, last = self._samples[device]
        made = last.inferences - first.inferences
        if first.running != running or made < MIN_INFERENCES:
            return None
        return inferences * (last.at_s - first.at_s) / made

    def forget(self, device: DeviceId) -> None:
        """Forget a device."""
        self._samples.pop(device, None)
