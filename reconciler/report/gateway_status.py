# SPDX-License-Identifier: Apache-2.0
"""What is true of the gateway itself: its source, the repository's validity, its links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.report.conditions import Condition, Conditions, Status, carried, ready
from reconciler.report.device_status import PassStamp

PRIORITY = ("SourceReady", "Valid", "LinksUp")  # strangers keep nothing from working
_STRANGERS_NAMED = 5


@dataclass(frozen=True, slots=True)
class SourceState:
    """How the last look at the fleet repository went."""

    good: bool
    reason: str
    message: str
    transient: bool = False  # may heal by itself


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a pass found out about the gateway."""

    name: str
    source: SourceState
    problems: tuple[str, ...] = ()  # mistakes in the fleet repository
    links: Mapping[str, str | None] = field(default_factory=dict)  # what is wrong with each link, or None
    strangers: frozenset[str] = frozenset()  # who speaks on a link and is not in Git; never served


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The gateway as its status file tells it."""

    name: str
    commit: str  # that is enforced
    conditions: Conditions

    @property
    def ready(self) -> Condition:
        """Return the summary condition."""
        return self.conditions[0]


def gateway_status(facts: GatewayFacts, moment: PassStamp, previous: GatewayStatus | None) -> GatewayStatus:
    """Build the gateway's conditions."""

    def condition(kind: str, wrong: str | None, reason: str, message: str) -> Condition:
        status = Status.TRUE if wrong is None else Status.FALSE
        return Condition(kind, status, reason, wrong or message, moment.now, moment.commit)

    source = facts.source
    invalid = _joined(facts.problems)
    down = _joined([f"{link}: {wrong}" for link, wrong in sorted(facts.links.items()) if wrong is not None])
    parts = (
        condition("SourceReady", None if source.good else source.message, source.reason, source.message),
        condition("Valid", invalid, "Invalid" if invalid else "Valid", "The fleet repository has no mistakes."),
        condition("LinksUp", down, "LinkDown" if down else "LinksUp", "All links work."),
        condition(
            "NoUnknownDevices",
            _named(facts.strangers),
            "UnknownDevices" if facts.strangers else "NoUnknownDevices",
            "Only devices that Git knows speak on the links.",
        ),
    )
    before = previous.conditions if previous is not None else ()
    kept = carried(parts, before)
    summary = carried((ready(kept, PRIORITY, when_true="The gateway enforces the newest commit."),), before)
    return GatewayStatus(facts.name, moment.commit, (*summary, *kept))


def _joined(problems: Sequence[str]) -> str | None:
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more


def _named(strangers: frozenset[str]) -> str | None:
    """Name some; how many there are may be an attacker's choice, so it is told roughly and rarely changes."""
    if not strangers:
        return None
    shown = ", ".join(sorted(strangers)[:_STRANGERS_NAMED])
    return f"{shown}{' and others' if len(strangers) > _STRANGERS_NAMED else ''}: not in Git, and not served"
