# SPDX-License-Identifier: Apache-2.0
"""What is said of one device, judged alone: what would be done, and what its wave has to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from reconciler.model import Action
from reconciler.plan.device.rollback import RollbackAction


class DeviceStanding(Enum):
    """Where a device stands in its rollout."""

    SETTLED = "settled"  # is what the rollout wants; it may have to soak yet
    DUE = "due"  # has yet to get there, or is on its way
    FAILED = "failed"  # tried and failed, or fell silent while it tried
    MISSING = "missing"  # not reporting: can't be asked
    OUT = "out"  # can never have it: no part of any wave


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """What would be done if nothing held it, and what the device's wave has to know."""

    action: Action
    standing: DeviceStanding
    since: datetime | None = None  # settled since
    lost_at: datetime | None = None  # settled, but not heard since
    until: datetime | None = None  # from then on time alone makes this verdict stale
    begun: bool = False  # due, and on its way or on trial: it may fail
    away: bool = False  # can't do its work now
    awaits: str = ""  # settled, and which gate can't be judged yet
    gate_failed: str = ""  # which gate it failed, and how
    back: RollbackAction | None = None  # what would be done to take it back
    rests: str = ""  # why it is left alone for now
    proven: bool = False  # its gateway says that it is done
    elsewhere: str = ""  # the gateway that tells of it, where that is not this one

    def says_the_same(self, other: DeviceVerdict) -> bool:
        """Compare all but how long it holds."""
        return (
            self.standing is other.standing
            and self.action == other.action
            and self.since == other.since
            and self.lost_at == other.lost_at
            and _beside(self) == _beside(other)
        )


def _beside(verdict: DeviceVerdict) -> tuple[object, ...]:
    return (
        verdict.begun,
        verdict.away,
        verdict.awaits,
        verdict.gate_failed,
        verdict.rests,
        verdict.proven,
        verdict.elsewhere,
        verdict.back,
    )
