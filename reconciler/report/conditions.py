# SPDX-License-Identifier: Apache-2.0
"""Conditions: one fact each about a device, a rollout or the gateway, as in Kubernetes.

`since` moves only when `status` flips, so it shows for how long the status has been the same. A reason is
never renamed; docs/conditions.md says what to do about each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from reconciler.foreign_text import printable

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Status(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One type with its status, the reason, a message, and since when the status is the same."""

    type: str
    status: Status
    reason: str
    message: str
    since: datetime
    observed_commit: str

    def as_dict(self) -> dict[str, str]:
        """Return the fields under their names in YAML."""
        return {
            "type": self.type,
            "status": self.status.value,
            "reason": self.reason,
            "message": self.message,
            "since": self.since.strftime(_TIME),
            "observedCommit": self.observed_commit,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, str]) -> Condition:
        """Read the result of `as_dict`."""
        since = datetime.strptime(fields["since"], _TIME).replace(tzinfo=UTC)
        return cls(
            fields["type"],
            Status(fields["status"]),
            fields["reason"],
            printable(fields["message"]),
            since,
            fields["observedCommit"],
        )


Conditions = tuple[Condition, ...]


def carry_over(new: Iterable[Condition], previous: Iterable[Condition]) -> Conditions:
    """Keep the old `since` while the status is the same, and the old condition while its message is, too.

    A new commit alone does not make a new condition. Otherwise every commit to the fleet repository would
    rewrite the status of every device.
    """
    before: Mapping[str, Condition] = {condition.type: condition for condition in previous}
    return tuple(_carry_one(condition, before.get(condition.type)) for condition in new)


def _carry_one(condition: Condition, old: Condition | None) -> Condition:
    if old is None or old.status is not condition.status:
        return condition
    if (old.reason, old.message) == (condition.reason, condition.message):
        return old
    return replace(condition, since=old.since)


def ready(parts: Conditions, priority: tuple[str, ...], *, when_true: str) -> Condition:
    """Summarise conditions: `Ready` has the reason of the first type in the priority list that is not True."""
    by_type = {part.type: part for part in parts}
    ordered = [by_type[name] for name in priority if name in by_type]
    for part in ordered:
        if part.status is not Status.TRUE:
            return replace(part, type="Ready")
    newest = max(ordered, key=lambda part: part.since)
    return replace(newest, type="Ready", status=Status.TRUE, reason="Ready", message=when_true)
