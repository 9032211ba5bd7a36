# SPDX-License-Identifier: Apache-2.0
"""A condition: one truth about a device, a rollout or the gateway, as Kubernetes has it.

`since` moves only when `status` flips, so that it answers "for how long". Reasons are words that are
never renamed; docs/conditions.md says of each what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Status(StrEnum):
    """What a condition says of its type."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One type with its status, why, and since when."""

    type: str
    status: Status
    reason: str
    message: str
    since: datetime
    observed_commit: str

    def as_dict(self) -> dict[str, str]:
        """Name the fields as YAML does."""
        return {
            "type": self.type,
            "status": self.status.value,
            "reason": self.reason,
            "message": self.message,
            "since": self.since.strftime(_TIME),
            "observedCommit": self.observed_commit,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, str]) -> Condition:
        """Read what `as_dict` wrote."""
        since = datetime.strptime(told["since"], _TIME).replace(tzinfo=UTC)
        return cls(told["type"], Status(told["status"]), told["reason"], told["message"], since, told["observedCommit"])


Conditions = tuple[Condition, ...]


def carried(new: Iterable[Condition], previous: Iterable[Condition]) -> Conditions:
    """Keep `since` (and, when nothing else changed, the whole condition) of what has not flipped.

    A new commit alone does not make a new condition: otherwise every commit to the fleet
    repository would rewrite the status of every device.
    """
    before: Mapping[str, Condition] = {condition.type: condition for condition in previous}
    return tuple(_carry(condition, before.get(condition.type)) for condition in new)


def _carry(condition: Condition, old: Condition | None) -> Condition:
    if old is None or old.status is not condition.status:
        return condition
    if (old.reason, old.message) == (condition.reason, condition.message):
        return old
    return replace(condition, since=old.since)


def ready(parts: Conditions, priority: tuple[str, ...], *, when_true: str) -> Condition:
    """Summarise: `Ready` takes its reason from the first type of the priority list that is not True."""
    by_type = {part.type: part for part in parts}
    ordered = [by_type[name] for name in priority if name in by_type]
    for part in ordered:
        if part.status is not Status.TRUE:
            return replace(part, type="Ready")
    newest = max(ordered, key=lambda part: part.since)
    return replace(newest, type="Ready", status=Status.TRUE, reason="Ready", message=when_true)
