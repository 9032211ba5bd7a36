# SPDX-License-Identifier: Apache-2.0
"""What became of the last rollouts, from the versions of their status file that Git keeps (docs/adr/0070)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import GatewayId, RolloutId
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file
from reconciler.report.rollout_status import RolloutStatus


@dataclass(frozen=True, slots=True)
class PastRollout:
    """One revision, as one gateway told of it."""

    rollout: RolloutId
    gateway: GatewayId
    model: str
    revision: str
    began_at: datetime
    ended_at: datetime | None  # when it was complete or stopped first; None: it was neither
    outcome: str  # complete, stopped, taken back, replaced, or under way


def past_rollouts(gateway: GatewayId, versions: Iterable[tuple[datetime, bytes]]) -> list[PastRollout]:
    """Read the versions of one status file, the newest first, into chapters, the newest first."""
    found: list[list[tuple[datetime, RolloutStatus]]] = []
    for at, data in versions:
        try:
            status = read_rollout_file(data)
        except InvalidRolloutStatus:
            continue
        if found and found[-1][-1][1].facts.report.revision == status.facts.report.revision:
            found[-1].append((at, status))
        else:
            found.append([(at, status)])
    return [_chapter(gateway, group, newest=index == 0) for index, group in enumerate(found)]


def _chapter(gateway: GatewayId, group: list[tuple[datetime, RolloutStatus]], *, newest: bool) -> PastRollout:
    told = [(at, outcome) for at, status in reversed(group) if (outcome := _outcome(status))]
    last = _outcome(group[0][1])
    facts = group[0][1].facts
    # A rollout that was complete may be under way again, because a device came later: the last word counts.
    ended_at = next((at for at, outcome in told if outcome == last), None) if last else None
    outcome = last or ("under way" if newest else "replaced")
    return PastRollout(facts.rollout, gateway, facts.model, facts.report.revision, group[-1][0], ended_at, outcome)


def _outcome(status: RolloutStatus) -> str:
    facts = status.facts
    if facts.report.stopped:
        return "taken back" if facts.rolled_back else "stopped"
    return "complete" if facts.complete else ""
