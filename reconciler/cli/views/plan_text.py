# SPDX-License-Identifier: Apache-2.0
"""A plan as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.views.plan_groups import (
    NO_OBSERVED_STATE,
    TITLES,
    PlanResult,
    groups,
    reason_lines,
    rollout_lines_of,
)
from reconciler.cli.views.table import table
from reconciler.model import Action
from reconciler.review.formatting import counted


def text(plan: PlanResult, *, every: bool, width: int) -> str:
    """Write a plan; with `every`, one line for each device in place of the groups."""
    lines = [plan.headline, _summary(plan)]
    if plan.assumed:
        lines.append(NO_OBSERVED_STATE)
    if plan.rollouts:
        lines += ["", "Rollouts", *(f"  {line}" for line in rollout_lines_of(plan))]
    if every:
        return "\n".join([*lines, "", *_rows(plan.actions, width)])
    title = None
    for group in groups(plan.actions):
        if group.kind is not title:
            title = group.kind
            lines += ["", f"{TITLES[title]} ({plan.counts[title]:,})"]
        lines.append(f"  {group.label}: {counted(group.size, 'device')}")
        lines += [f"    {line}" for line in reason_lines(group)]
    return "\n".join(lines)


def _rows(actions: tuple[Action, ...], width: int) -> Iterator[str]:
    rows = [(action.device, TITLES[type(action)], action.why) for action in actions]
    yield from (line.plain for line in table(("device", "action", "reason"), rows, width))


def _summary(plan: PlanResult) -> str:
    parts = [f"{count:,} {TITLES[kind].lower()}" for kind, count in plan.counts.items() if count]
    return f"{counted(len(plan.actions), 'device')}: {', '.join(parts) or 'nothing to plan'}"
