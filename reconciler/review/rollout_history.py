# SPDX-License-Identifier: Apache-2.0
"""The history of a rollout, from the versions of its status file that Git keeps (docs/adr/0070)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import GatewayId, RolloutId
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file
from reconciler.report.rollout_status import RolloutStatus


@dataclass(frozen=True, slots=True)
class PastRollout:
    """One revision of a rollout, as one gateway reported it."""

    rollout: RolloutId
    gateway: GatewayId
    model: str
    revision: str
    started_at: datetime
    ended_at: datetime | None  # when it first was complete or stopped; None: neither
    outcome: str  # complete, stopped, rolled-back, replaced or in-progress


def past_rollouts(gateway: GatewayId, versions: Iterable[tuple[datetime, bytes]]) -> list[PastRollout]:
    """Group the versions of one status file, newest first, by revision, newest first."""
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
    return [_past_rollout(gateway, group, newest=index == 0) for index, group in enumerate(found)]


def _past_rollout(gateway: GatewayId, group: list[tuple[datetime, RolloutStatus]], *, newest: bool) -> PastRollout:
    outcomes = [(at, outcome) for at, status in reversed(group) if (outcome := _outcome(status))]
    last = _outcome(group[0][1])
    facts = group[0][1].facts
    # A complete rollout can be in progress again when a device was added: the last report counts.
    ended_at = next((at for at, outcome in outcomes if outcome == last), None) if last else None
    outcome = last or ("in-progress" if newest else "replaced")
    return PastRollout(facts.rollout, gateway, facts.model, facts.report.revision, group[-1][0], ended_at, outcome)


def _outcome(status: RolloutStatus) -> str:
    facts = status.facts
    if facts.report.stopped:
        return "rolled-back" if facts.rolled_back else "stopped"
    return "complete" if facts.complete else ""
