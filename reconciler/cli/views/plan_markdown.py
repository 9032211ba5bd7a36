# SPDX-License-Identifier: Apache-2.0
"""A plan as Markdown for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.views.plan_groups import (
    NO_OBSERVED_STATE,
    TITLES,
    ActionGroup,
    PlanResult,
    groups,
    reason_lines,
    rollout_lines_of,
)
from reconciler.review.formatting import counted

COMMENT_CHARS = 60_000  # GitHub accepts 65,536 in a comment


def markdown(plan: PlanResult, *, every: bool) -> str:
    """Write a plan; with `every`, followed by a row for each device."""
    lines = [f"### {plan.headline}", "", f"| {' | '.join(TITLES.values())} |", "|" + "---:|" * len(TITLES)]
    lines += [f"| {' | '.join(f'{count:,}' for count in plan.counts.values())} |", ""]
    if plan.assumed:
        lines += [f"> {NO_OBSERVED_STATE}", ""]
    lines += [f"- Rollout {escaped(line)}" for line in rollout_lines_of(plan)]
    lines += _items(groups(plan.actions), COMMENT_CHARS - sum(map(len, lines)))
    if every:
        rows = (
            f"| {escaped(action.device)} | {TITLES[type(action)]} | {escaped(action.why)} |" for action in plan.actions
        )
        lines += ["", "| device | action | reason |", "|---|---|---|", *rows]
    return "\n".join(lines)


def _items(found: list[ActionGroup], room: int) -> Iterator[str]:
    """List groups while the comment has room, and count the rest."""
    for index, group in enumerate(found):
        title = f"- **{TITLES[group.kind]}**, {escaped(group.label)}: {counted(group.size, 'device')}"
        item = "\n".join([title, *(f"  - {escaped(line)}" for line in reason_lines(group))])
        room -= len(item)
        if room < 0:
            yield f"- and {len(found) - index} more groups; `tinyfleet plan` lists them all"
            return
        yield item


def escaped(text: str) -> str:
    """Keep a forge from reading names as markup, and text from leaving its line."""
    text = " ".join(text.split())
    for mark in "\\`*_<>|#[]@":
        text = text.replace(mark, f"\\{mark}")
    return text
