# SPDX-License-Identifier: Apache-2.0
"""Devices that are not to be trusted: their signatures do not verify, or their sequence went back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.observed.identity_history import IdentityHistories
from reconciler.model import Action, DeviceId, NoChange, ObservedDevice
from reconciler.report.device_status import Distrust

log = logging.getLogger(__name__)

NOT_AUTHENTIC = "NotAuthentic"
SEQUENCE_WENT_BACK = "SequenceWentBack"
DECISIONS_DIFFER = "DecisionsDiffer"
MAX_REFUSALS = 4  # in a row; fewer can be answers that arrived too late for their question


@dataclass(slots=True)
class ReportRefusals:
    """The messages in a device's name that did not verify."""

    count: int = 0
    in_a_row: int = 0
    why: str = ""


class TrustLedger:
    """Collects reasons to distrust devices; a report that verifies clears the refused ones before it."""

    def __init__(self, identities: IdentityHistories) -> None:
        self._identities = identities
        self._refused: dict[DeviceId, ReportRefusals] = {}
        self._logged: dict[DeviceId, Distrust] = {}
        self._doubts: Mapping[DeviceId, int] = {}

    @property
    def refused(self) -> Mapping[DeviceId, ReportRefusals]:
        """Return what was refused since the start, by device."""
        return self._refused

    def record_refused(self, device: DeviceId, why: str) -> bool:
        """Record a message that did not verify; return True when there have just been too many in a row."""
        refused = self._refused.setdefault(device, ReportRefusals())
        refused.count += 1
        refused.in_a_row += 1
        refused.why = why
        return refused.in_a_row == MAX_REFUSALS

    def record_verified(self, device: DeviceId) -> None:
        """Record a report that verified."""
        if device in self._refused:
            self._refused[device].in_a_row = 0

    def record_doubts(self, doubts: Mapping[DeviceId, int]) -> None:
        """Record on how many samples of each device the model that it runs decides differently on the gateway."""
        self._doubts = doubts

    def distrusted(
        self, actions: Iterable[Action], devices: Mapping[DeviceId, ObservedDevice]
    ) -> dict[DeviceId, Distrust]:
        """Return which of the planned devices are not to be trusted now, and why."""
        candidates = self._identities.behind | self._refused.keys() | self._doubts.keys()
        found = {}
        for action in actions if candidates else ():
            if action.device not in candidates:
                continue
            distrust = (
                self._not_authentic(action.device)
                or self._went_back(action, devices.get(action.device))
                or self._decides_differently(action.device)
            )
            if distrust is not None:
                found[action.device] = distrust
                if self._logged.get(action.device) != distrust:  # it may be over before a status is committed
                    log.warning("%s: %s", action.device, distrust.message, extra={"reason": distrust.reason})
        self._logged = found
        return found

    def _not_authentic(self, device: DeviceId) -> Distrust | None:
        refused = self._refused.get(device)
        if refused is None or refused.in_a_row < MAX_REFUSALS:
            return None
        return Distrust(NOT_AUTHENTIC, f"Messages in its name do not verify: {refused.why}")

    def _decides_differently(self, device: DeviceId) -> Distrust | None:
        """Doubt a device whose signed samples do not have the decisions that its own model makes of them."""
        count = self._doubts.get(device, 0)
        if not count:
            return None
        return Distrust(DECISIONS_DIFFER, f"Its model decides differently here on {count} of its samples")

    def _went_back(self, action: Action, seen: ObservedDevice | None) -> Distrust | None:
        """Distrust a reset device until it reaches its desired state; orders are above the highest sequence it held."""
        held = self._identities.max_sequence(action.device)
        if seen is None or seen.sequence >= held or isinstance(action, NoChange):
            return None
        message = f"It held sequence {held} and now holds {seen.sequence}: its flash was reset or replaced"
        return Distrust(SEQUENCE_WENT_BACK, f"{message}. It is brought back to what Git says.")
