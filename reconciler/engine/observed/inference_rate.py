# SPDX-License-Identifier: Apache-2.0
"""How fast devices infer: what they counted between two answers, over the time between them.

A count alone tells nothing of it: it grows from a boot that nobody saw, and a gateway that has just begun to listen has
known a device for a second that may have counted for a year. Time is the steady clock's: a calendar that is set right
must not look like a model that became slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.devices.reports import DeviceReport
from reconciler.model import DeviceId

LEAST = 20  # inferences; of fewer, when the two answers came says more than how many were made


@dataclass(frozen=True, slots=True)
class _Mark:
    running: bytes | None
    boots: int
    inferences: int
    at_s: float


class InferenceRates:
    """The paces of all devices, since this gateway started."""

    def __init__(self, steady_s: Callable[[], float]) -> None:
        self._steady_s = steady_s
        self._marks: dict[DeviceId, tuple[_Mark, _Mark]] = {}  # the first and the last of one run of one pack

    def take(self, device: DeviceId, report: DeviceReport) -> None:
        """Take in an answer that has just come."""
        mark = _Mark(report.running, report.boots, report.inferences, self._steady_s())
        first, last = self._marks.get(device, (mark, mark))
        goes_on = (first.running, first.boots) == (mark.running, mark.boots) and last.inferences <= mark.inferences
        self._marks[device] = (first if goes_on else mark, mark)

    def seconds_for(self, device: DeviceId, running: bytes, inferences: int) -> float | None:
        """Tell how long a device takes for so many inferences with what it runs; None: not known yet."""
        if device not in self._marks:
            return None
        first, last = self._marks[device]
        made = last.inferences - first.inferences
        if first.running != running or made < LEAST:
            return None
        return inferences * (last.at_s - first.at_s) / made

    def forget(self, device: DeviceId) -> None:
        """Forget a device."""
        self._marks.pop(device, None)
