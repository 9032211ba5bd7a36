# SPDX-License-Identifier: Apache-2.0
"""A plan as people read it, at three devices and at three thousand: exceptions first, equal reasons together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.cli.views.rollout_lines import RolloutLine
from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    Commit,
    Configure,
    DeviceId,
    Hold,
    Install,
    NoChange,
)

NAMES_SHOWN = 6
REASONS_SHOWN = 5
ROLLOUTS_SHOWN = 30
COMMENT_CHARS = 60_000  # GitHub takes 65,536 in a comment
# In the order in which they are told.
TITLES: dict[type[Action], str] = {
    Blocked: "Can't",
    Hold: "Hold",
    Install: "Install",
    ActivatePrebaked: "Activate pre-baked",
    Configure: "Configure",
    NoChange: "Nothing to do",
}
WORDS: dict[type[Action], str] = {
    Blocked: "cant",
    Hold: "hold",
    Install: "install",
    ActivatePrebaked: "activate-prebaked",
    Configure: "configure",
    NoChange: "nothing",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan, and what it was made of."""

    actions: tuple[Action, ...]
    commit: Commit  # empty: files that are not committed
    at: datetime
    assumed: bool  # no observed state was given
    rollouts: tuple[RolloutLine, ...] = ()

    @property
    def counts(self) -> dict[type[Action], int]:
        """Count the actions by kind, in the order in which they are told."""
        counts = dict.fromkeys(TITLES, 0)
        for action in self.actions:
            counts[type(action)] += 1
        return counts


@dataclass(frozen=True, slots=True)
class ActionGroup:
    """The devices of one kind of action, for one sort of reason, in one rollout."""

    kind: type[Action]
    sort: str
    reasons: dict[str, list[DeviceId]]

    @property
    def size(self) -> int:
        """Count the devices."""
        return sum(map(len, self.reasons.values()))


ASSUMED = (
    "No observed state was given: planned as if every device had just reported for the first time, running nothing."
)


def text(answer: Answer, *, every: bool) -> str:
    """Write for a terminal."""
    lines = [_headline(answer), _summary(answer)]
    if answer.assumed:
        lines.append(ASSUMED)
    if answer.rollouts:
        lines += ["", "Rollouts", *(f"  {line}" for line in _rollouts(answer))]
    if every:
        return "\n".join([*lines, "", *_rows(answer.actions)])
    title = None
    for group in groups(answer.actions):
        if group.kind is not title:
            title = group.kind
            lines += ["", f"{TITLES[title]} ({answer.counts[title]:,})"]
        lines.append(f"  {group.sort}: {plural(group.size)}")
        lines += [f"    {line}" for line in _reasons(group)]
    return "\n".join(lines)


def markdown(answer: Answer, *, every: bool) -> str:
    """Write for a comment on a pull request."""
    lines = [f"### {_headline(answer)}", "", f"| {' | '.join(TITLES.values())} |", "|" + "---:|" * len(TITLES)]
    lines += [f"| {' | '.join(f'{count:,}' for count in answer.counts.values())} |", ""]
    if answer.assumed:
        lines += [f"> {ASSUMED}", ""]
    lines += [f"- Rollout {escaped(line)}" for line in _rollouts(answer)]
    lines += _items(groups(answer.actions), COMMENT_CHARS - sum(map(len, lines)))
    if every:
        rows = (
            f"| {escaped(action.device)} | {TITLES[type(action)]} | {escaped(action.why)} |"
            for action in answer.actions
        )
        lines += ["", "| device | action | why |", "|---|---|---|", *rows]
    return "\n".join(lines)


def _items(found: list[ActionGroup], room: int) -> Iterator[str]:
    """Write groups as a list while there is room in the comment, and count the rest."""
    for index, group in enumerate(found):
        title = f"- **{TITLES[group.kind]}**, {escaped(group.sort)}: {plural(group.size)}"
        item = "\n".join([title, *(f"  - {escaped(line)}" for line in _reasons(group))])
        room -= len(item)
        if room < 0:
            yield f"- and {len(found) - index} more groups; `tinyfleet plan` tells them all"
            return
        yield item


def as_json(answer: Answer, *, every: bool) -> str:
    """Write for programs; without `every` what has nothing to do is counted, not listed."""
    document = {
        "commit": answer.commit or None,
        "at": answer.at.isoformat(),
        "assumed": answer.assumed,
        "counts": {WORDS[kind]: count for kind, count in answer.counts.items()},
        "rollouts": [
            {
                "rollout": each.rollout,
                "model": each.model,
                "complete": each.complete,
                "progress": each.words,
                "waves": dict(each.waves),
            }
            for each in answer.rollouts
        ],
        "actions": [row(action) for action in answer.actions if every or not isinstance(action, NoChange)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


FORMATS: dict[str, Callable[..., str]] = {"text": text, "json": as_json, "markdown": markdown}


def groups(actions: Iterable[Action]) -> list[ActionGroup]:
    """Put equal reasons together: exceptions first, then the larger groups."""
    found: dict[tuple[type[Action], str], dict[str, list[DeviceId]]] = defaultdict(lambda: defaultdict(list))
    for action in actions:
        found[type(action), _sort(action)][action.why].append(action.device)
    order = list(TITLES)
    made = [ActionGroup(kind, sort, dict(reasons)) for (kind, sort), reasons in found.items()]
    return sorted(made, key=lambda group: (order.index(group.kind), -group.size, group.sort))


def _sort(action: Action) -> str:
    """Name what such actions have in common, beyond their kind."""
    match action:
        case Blocked(rollout=None, reason=reason):
            return str(reason)
        case Blocked(rollout=rollout, reason=reason) | Hold(rollout=rollout, reason=reason):
            return f"{reason}, rollout {rollout}"
        case Install(model=model, origin=origin, rollout=rollout):
            return f"{model} from {origin}, rollout {rollout}"
        case ActivatePrebaked(model=model, rollout=rollout):
            return f"{model}, rollout {rollout}"
        case Configure(rollout=rollout):
            return f"parameters, rollout {rollout}"
        case NoChange():
            return "as wanted"


def _reasons(group: ActionGroup) -> Iterator[str]:
    """Tell the reasons of a group, the one of most devices first."""
    ranked = sorted(group.reasons.items(), key=lambda reason: (-len(reason[1]), reason[1][0]))
    for why, devices in ranked[:REASONS_SHOWN]:
        yield f"{names(devices)}: {why}"
    rest = ranked[REASONS_SHOWN:]
    if rest:
        yield f"and {plural(sum(len(devices) for _, devices in rest))} more, each with its own reason"


def _rollouts(answer: Answer) -> Iterator[str]:
    """Tell how far the rollouts are, those under way first."""
    ranked = sorted(answer.rollouts, key=lambda each: (each.complete, each.rollout))
    for each in ranked[:ROLLOUTS_SHOWN]:
        yield f"{each.rollout}: {each.words}"
    if len(ranked) > ROLLOUTS_SHOWN:
        yield f"and {len(ranked) - ROLLOUTS_SHOWN} more"


def names(devices: list[DeviceId]) -> str:
    """Name some devices, and count the rest."""
    shown = ", ".join(devices[:NAMES_SHOWN])
    return shown if len(devices) <= NAMES_SHOWN else f"{shown} and {len(devices) - NAMES_SHOWN:,} more"


def _rows(actions: tuple[Action, ...]) -> Iterator[str]:
    width = max((len(action.device) for action in actions), default=0)
    titles = max(map(len, TITLES.values()))
    for action in actions:
        yield f"{action.device:<{width}}  {TITLES[type(action)]:<{titles}}  {action.why}"


def _headline(answer: Answer) -> str:
    what = f"commit {answer.commit[:12]}" if answer.commit else "the files as they are"
    return f"Plan for {what}, {answer.at:%Y-%m-%d %H:%M:%S UTC}"


def _summary(answer: Answer) -> str:
    parts = [f"{count:,} {TITLES[kind].lower()}" for kind, count in answer.counts.items() if count]
    return f"{plural(len(answer.actions))}: {', '.join(parts) or 'nothing to plan'}"


def plural(count: int) -> str:
    """Count devices."""
    return "1 device" if count == 1 else f"{count:,} devices"


def row(action: Action) -> dict[str, Any]:
    """Name the fields of an action for programs."""
    told: dict[str, Any] = {"device": action.device, "action": WORDS[type(action)], "why": action.why}
    if not isinstance(action, NoChange):
        told["rollout"] = action.rollout
    match action:
        case Install(model=model, origin=origin, parameters=parameters):
            told |= {"model": str(model), "from": str(origin), "parameters": dict(parameters)}
        case ActivatePrebaked(model=model, parameters=parameters):
            told |= {"model": str(model), "parameters": dict(parameters)}
        case Configure(parameters=parameters):
            told |= {"parameters": dict(parameters)}
        case Hold(reason=reason):
            told |= {"reason": str(reason)}
        case Blocked(reason=reason, short_by=short_by, also=also):
            told |= {"reason": str(reason)}
            told |= {"shortBy": short_by} if short_by else {}
            told |= {"also": [str(other) for other in also]} if also else {}
        case NoChange():
            pass
    return told


def escaped(words: str) -> str:
    """Keep a forge from reading names as markup, and words from leaving their line."""
    words = " ".join(words.split())
    for mark in "\\`*_<>|#[]@":
        words = words.replace(mark, f"\\{mark}")
    return words
