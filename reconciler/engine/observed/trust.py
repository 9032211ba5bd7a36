# SPDX-License-Identifier: Apache-2.0
"""Devices whose word is not what it should be: seals that do not hold, sequences that went back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.observed.identity import IdentityHistories
from reconciler.model import Action, DeviceId, NoChange, ObservedDevice
from reconciler.report.device_status import Distrust

log = logging.getLogger(__name__)

NOT_AUTHENTIC = "NotAuthentic"
SEQUENCE_WENT_BACK = "SequenceWentBack"
REFUSALS = 4  # in a row; fewer can be answers that came too late for their question


@dataclass(slots=True)
class ReportRefusals:
    """What came in a device's name and was not believed."""

    count: int = 0
    in_a_row: int = 0
    why: str = ""


class TrustLedger:
    """Collects reasons for doubt; a report that holds ends the doubt about the seals."""

    def __init__(self, histories: IdentityHistories) -> None:
        self._histories = histories
        self._refused: dict[DeviceId, ReportRefusals] = {}
        self._told: dict[DeviceId, Distrust] = {}

    @property
    def refused(self) -> Mapping[DeviceId, ReportRefusals]:
        """Return what was refused since the start, by device."""
        return self._refused

    def refuse(self, device: DeviceId, why: str) -> bool:
        """Note that something was not believed; tells whether it is time to say so."""
        refused = self._refused.setdefault(device, ReportRefusals())
        refused.count += 1
        refused.in_a_row += 1
        refused.why = why
        return refused.in_a_row == REFUSALS

    def believe(self, device: DeviceId) -> None:
        """Note that a report held."""
        if device in self._refused:
            self._refused[device].in_a_row = 0

    def about(self, actions: Iterable[Action], devices: Mapping[DeviceId, ObservedDevice]) -> dict[DeviceId, Distrust]:
        """Return the doubts that there are now."""
        candidates = self._histories.behind | self._refused.keys()
        found = {}
        for action in actions if candidates else ():
            if action.device not in candidates:
                continue
            doubt = self._unbelieved(action.device) or self._went_back(action, devices.get(action.device))
            if doubt is not None:
                found[action.device] = doubt
                if self._told.get(action.device) != doubt:  # it may be over before a status is committed
                    log.warning("%s: %s", action.device, doubt.message, extra={"reason": doubt.reason})
        self._told = found
        return found

    def _unbelieved(self, device: DeviceId) -> Distrust | None:
        refused = self._refused.get(device)
        if refused is None or refused.in_a_row < REFUSALS:
            return None
        return Distrust(NOT_AUTHENTIC, f"What comes in its name does not verify: {refused.why}")

    def _went_back(self, action: Action, seen: ObservedDevice | None) -> Distrust | None:
        """Doubt a device until it is where Git wants it; every order from now on is above what it ever held."""
        held = self._histories.highest_sequence(action.device)
        if seen is None or seen.sequence >= held or isinstance(action, NoChange):
            return None
        words = f"It held sequence {held} and now holds {seen.sequence}: its flash was reset or replaced"
        return Distrust(SEQUENCE_WENT_BACK, f"{words}. It is brought back to what Git says.")
