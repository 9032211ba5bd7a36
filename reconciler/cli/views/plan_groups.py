# SPDX-License-Identifier: Apache-2.0
"""The actions of a plan, grouped for people: exceptions first, equal reasons together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reconciler.cli.views.rollout_summaries import RolloutLine
from reconciler.model import Action, ActivatePrebaked, Blocked, Commit, Configure, DeviceId, Hold, Install, NoChange
from reconciler.review.formatting import SHORT_DIGITS, counted

NAMES_SHOWN = 6
REASONS_SHOWN = 5
ROLLOUTS_SHOWN = 30
# In display order.
TITLES: dict[type[Action], str] = {
    Blocked: "Blocked",
    Hold: "Hold",
    Install: "Install",
    ActivatePrebaked: "Activate pre-baked",
    Configure: "Configure",
    NoChange: "No change",
}
NO_OBSERVED_STATE = (
    "No observed state given: the plan assumes that every device has just reported for the first time and runs nothing."
)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan and its inputs."""

    actions: tuple[Action, ...]
    commit: Commit  # empty: files that are not committed
    at: datetime
    assumed: bool  # no observed state was given
    rollouts: tuple[RolloutLine, ...] = ()

    @property
    def counts(self) -> dict[type[Action], int]:
        """Count the actions by kind, in display order."""
        counts = dict.fromkeys(TITLES, 0)
        for action in self.actions:
            counts[type(action)] += 1
        return counts

    @property
    def headline(self) -> str:
        """Return the commit and the time of the plan as text."""
        source = f"commit {self.commit[:SHORT_DIGITS]}" if self.commit else "the working directory"
        return f"Plan for {source}, {self.at:%Y-%m-%d %H:%M:%S UTC}"


@dataclass(frozen=True, slots=True)
class ActionGroup:
    """The devices with one kind of action, in one rollout, by reason."""

    kind: type[Action]
    label: str
    reasons: dict[str, list[DeviceId]]

    @property
    def size(self) -> int:
        """Count the devices."""
        return sum(map(len, self.reasons.values()))


def groups(actions: Iterable[Action]) -> list[ActionGroup]:
    """Group equal reasons: exceptions first, then the larger groups."""
    found: dict[tuple[type[Action], str], dict[str, list[DeviceId]]] = defaultdict(lambda: defaultdict(list))
    for action in actions:
        found[type(action), _label(action)][action.why].append(action.device)
    order = list(TITLES)
    made = [ActionGroup(kind, label, dict(reasons)) for (kind, label), reasons in found.items()]
    return sorted(made, key=lambda group: (order.index(group.kind), -group.size, group.label))


def _label(action: Action) -> str:
    """Return the label of a group: the common properties of its actions, besides their kind."""
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
            return "as desired"


def reason_lines(group: ActionGroup) -> Iterator[str]:
    """List the reasons of a group, the one with the most devices first."""
    ranked = sorted(group.reasons.items(), key=lambda reason: (-len(reason[1]), reason[1][0]))
    for why, devices in ranked[:REASONS_SHOWN]:
        yield f"{names(devices)}: {why}"
    rest = ranked[REASONS_SHOWN:]
    if rest:
        count = sum(len(devices) for _, devices in rest)
        yield f"and {counted(count, 'more device')}, each with its own reason"


def rollout_lines_of(plan: PlanResult) -> Iterator[str]:
    """List the rollouts with their progress, those in progress first."""
    ranked = sorted(plan.rollouts, key=lambda each: (each.complete, each.rollout))
    for each in ranked[:ROLLOUTS_SHOWN]:
        yield f"{each.rollout}: {each.summary}"
    if len(ranked) > ROLLOUTS_SHOWN:
        yield f"and {len(ranked) - ROLLOUTS_SHOWN} more"


def names(devices: list[DeviceId]) -> str:
    """List some devices, and count the rest."""
    shown = ", ".join(devices[:NAMES_SHOWN])
    return shown if len(devices) <= NAMES_SHOWN else f"{shown} and {len(devices) - NAMES_SHOWN:,} more"
