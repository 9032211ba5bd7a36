# SPDX-License-Identifier: Apache-2.0
"""One reason, in words, to hold devices."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import DeviceId, Hold, HoldReason, RolloutId


@dataclass(frozen=True, slots=True)
class HoldCause:
    """One reason, in words, to hold a device."""

    reason: HoldReason
    why: str

    def hold(self, device: DeviceId, rollout: RolloutId) -> Hold:
        """Say it of one device."""
        return Hold(device, rollout, self.reason, self.why)
