# SPDX-License-Identifier: Apache-2.0
"""The status of one contest: its conditions and its figures.

Figures change with every window, and a commit for each would drown the status branch. So a status stays the same
until one of its conditions, its champion, its successor or its state does; the figures are those of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.contest.decision import Cause, ContestState
from reconciler.model import ContestId, DeviceId, KnowledgeBounds, ProposalMode
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.device_status import PassStamp

PRIORITY = ("KnowledgeKept", "Voting", "Proposed", "ChampionSound", "Collecting", "LocalForests")
MAX_NAMES = 5
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """How the collection of samples goes."""

    devices: int  # of the rollout, at this gateway
    without_samples: tuple[DeviceId, ...] = ()  # their firmware keeps none
    busy_lines: tuple[str, ...] = ()  # with samples that wait, because the share of the line's time is spent
    lost_bytes: int = 0  # overwritten on devices before they were fetched, since the daemon started


@dataclass(frozen=True, slots=True)
class VotingFacts:
    """How the voting goes."""

    voters: int
    quorum: int
    failing: Mapping[str, str] = field(default_factory=dict)  # by model: what is wrong


@dataclass(frozen=True, slots=True)
class KnowledgeFacts:
    """What the knowledge base has for the contest."""

    windows: int
    bytes: int
    bounds: KnowledgeBounds
    trouble: str = ""  # why it cannot be used
    set_aside: str = ""  # the damaged file in place of which it was created


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """How the last proposal went."""

    mode: ProposalMode
    branch: str
    not_pushed: str = ""  # why the branch could not be pushed


@dataclass(frozen=True, slots=True)
class LocalForestFacts:
    """What became of forests that devices of the contest have grown."""

    voting: int
    branch: str = ""
    target: str = ""  # what the branch proposes
    not_pushed: str = ""  # why it could not be pushed


@dataclass(frozen=True, slots=True)
class ContestReport:
    """The results of a pass for one contest."""

    figures: ContestFigures
    collection: CollectionFacts
    voting: VotingFacts
    knowledge: KnowledgeFacts
    proposal: ProposalFacts
    local: LocalForestFacts | None = None  # None: the contest does not ask for them


@dataclass(frozen=True, slots=True)
class ContestStatus:
    """One contest as its status file shows it."""

    figures: ContestFigures
    conditions: Conditions

    @property
    def name(self) -> ContestId:
        """The name of the contest."""
        return self.figures.contest

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def contest_status(report: ContestReport, stamp: PassStamp, previous: ContestStatus | None) -> ContestStatus:
    """Build the conditions of a contest; return the previous status if only figures differ."""

    def condition(kind: str, status: Status, reason: str, message: str) -> Condition:
        return Condition(kind, status, reason, message, stamp.now, stamp.commit)

    parts = (
        condition("KnowledgeKept", *_knowledge(report.knowledge)),
        condition("Voting", *_voting(report.voting)),
        condition("Proposed", *_proposed(report.figures, report.proposal)),
        condition("ChampionSound", *_sound(report.figures)),
        condition("Collecting", *_collecting(report.collection)),
        *([condition("LocalForests", *_local(report.local))] if report.local is not None else []),
    )
    before = previous.conditions if previous is not None else ()
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="The champion is sound."),), before)
    status = ContestStatus(report.figures, (*summary, *kept))
    return previous if previous is not None and _outline(previous) == _outline(status) else status


def _outline(status: ContestStatus) -> object:
    figures = status.figures
    reasons = [(each.type, each.status, each.reason) for each in status.conditions]
    return figures.contest, figures.rollout, figures.champion, figures.state, figures.successor, reasons


Part = tuple[Status, str, str]


def _collecting(facts: CollectionFacts) -> Part:
    if facts.without_samples:
        lacking = len(facts.without_samples)
        message = (
            f"{lacking} of {facts.devices} devices keep no samples: {_some(facts.without_samples)}; "
            "their firmware lacks the operator SAMPLES"
        )
        return Status.FALSE, "DeviceLacksSamples", message
    if facts.lost_bytes:
        message = f"{facts.lost_bytes:,} bytes of samples were overwritten on devices before they were fetched"
        return Status.FALSE, "LogOverrun", message
    if facts.busy_lines:
        message = f"samples wait, because the share of the line's time is spent: {_some(facts.busy_lines)}"
        return Status.FALSE, "LineBudgetSpent", message
    return Status.TRUE, "Gathering", f"Samples of {_counted(facts.devices, 'device')} are fetched."


def _local(facts: LocalForestFacts) -> Part:
    if facts.not_pushed:
        return Status.FALSE, "LocalForestNotPushed", f"{facts.branch} could not be pushed: {facts.not_pushed}"
    if facts.target:
        return Status.TRUE, "LocalForestProposed", f"{facts.branch} proposes {facts.target}, as a device has grown it."
    if facts.voting:
        return Status.TRUE, "LocalForestsVote", f"{_counted(facts.voting, 'forest')} that devices have grown vote."
    return Status.TRUE, "NoLocalForest", "No device has grown a forest of its own yet."


def _voting(facts: VotingFacts) -> Part:
    able = facts.voters - len(facts.failing)
    failing = "; ".join(f"{model}: {wrong}" for model, wrong in sorted(facts.failing.items())[:MAX_NAMES])
    if able < facts.quorum:
        message = f"{able} of {facts.voters} models can vote, and the quorum is {facts.quorum}"
        return Status.FALSE, "PoolTooSmall", f"{message}; {failing}" if failing else message
    if facts.failing:
        return Status.FALSE, "ModelFails", f"{len(facts.failing)} of {facts.voters} models fail: {failing}"
    return Status.TRUE, "Voting", f"{_counted(facts.voters, 'model')} vote, with a quorum of {facts.quorum}."


def _knowledge(facts: KnowledgeFacts) -> Part:
    if facts.trouble:
        return Status.FALSE, "KnowledgeUnusable", facts.trouble
    if facts.set_aside:
        message = f"it was damaged and is kept as {facts.set_aside}; a new one was begun, and the tenure with it"
        return Status.FALSE, "KnowledgeLost", message
    size = f"{facts.bytes / MEBIBYTE:.1f} of {facts.bounds.bytes / MEBIBYTE:.0f} MiB"
    return Status.TRUE, "Kept", f"{facts.windows:,} of {facts.bounds.windows:,} windows, {size}."


def _sound(figures: ContestFigures) -> Part:
    if figures.state == ContestState.SUSPENDED:
        return Status.UNKNOWN, "Suspended", "The contest is suspended."
    limits = figures.limits
    worst = figures.errors[0] if figures.errors else None
    numbers = (
        f"{worst.device} has {worst.false_positives} false positives of {limits.false_positives} and "
        f"{worst.missed} missed windows of {limits.missed}"
        if worst is not None
        else "no device has an error"
    )
    if figures.cause in {Cause.FALSE_POSITIVES, Cause.MISSED}:
        devices = f", on {figures.devices_with_errors} devices" if figures.devices_with_errors > 1 else ""
        return Status.FALSE, figures.cause, f"{figures.champion}: {numbers}{devices}"
    if figures.decided < limits.decided:
        message = f"{figures.decided} of {limits.decided} windows are decided; {numbers}"
        return Status.UNKNOWN, "TooLittleSeen", message
    return Status.TRUE, "Sound", f"{figures.champion}: {numbers}; {figures.decided:,} windows are decided."


def _proposed(figures: ContestFigures, facts: ProposalFacts) -> Part:
    successor = figures.successor
    match ContestState(figures.state):
        case ContestState.OPEN:
            return Status.TRUE, "Open", f"{facts.branch} proposes {successor} in place of {figures.champion}."
        case ContestState.DECLINED:
            return Status.FALSE, "Declined", f"{successor} was proposed, and the branch was removed without a merge"
        case ContestState.DUE:
            return _due(figures, facts)
        case ContestState.SUSPENDED:
            return Status.UNKNOWN, "Suspended", "The contest is suspended."
        case ContestState.SETTLING | ContestState.WATCHING as state:
            return Status.TRUE, "Nothing", f"Nothing is proposed: {_calm(state, figures)}."
        case state:
            return Status.FALSE, *_without_successor(state, figures)


def _due(figures: ContestFigures, facts: ProposalFacts) -> Part:
    if facts.mode is ProposalMode.NEVER:
        message = f"{figures.successor} would be proposed, but the contest has propose: never"
        return Status.FALSE, "ProposeNever", message
    if facts.not_pushed:
        return Status.FALSE, "NotPushed", f"{figures.successor} is due, and could not be pushed: {facts.not_pushed}"
    return Status.FALSE, "Proposing", f"{figures.successor} is about to be proposed in place of {figures.champion}"


def _calm(state: ContestState, figures: ContestFigures) -> str:
    if state is ContestState.WATCHING:
        return "the champion is sound"
    return f"the tenure is not over{_until(figures)}" if figures.until is not None else "the rollout is not complete"


def _without_successor(state: ContestState, figures: ContestFigures) -> tuple[str, str]:
    """Return reason and message of a state in which the champion should be replaced and cannot."""
    limits = figures.limits
    messages = {
        ContestState.TOO_LITTLE_SEEN: (
            f"{figures.decided} of {limits.decided} windows are decided, {figures.normals} of {limits.normals} of them "
            "from the log of normal windows"
        ),
        ContestState.NO_SUCCESSOR: _no_successor(figures),
        ContestState.COOLING_DOWN: f"each possible successor was champion a short time ago{_until(figures)}",
        ContestState.FLAPPING: (
            f"{figures.replaced} replacements, and the contest allows {limits.replacements}{_until(figures)}"
        ),
        ContestState.ROLLOUT_STOPPED: (
            f"the rollout of {figures.champion} stopped, and this contest has no earlier champion to return to"
        ),
    }
    return state.value, messages[state]


def _until(figures: ContestFigures) -> str:
    return f", until {figures.until:%Y-%m-%d %H:%M} UTC" if figures.until is not None else ""


def _no_successor(figures: ContestFigures) -> str:
    others = [each for each in figures.candidates if each.candidate != figures.champion]
    reasons = "; ".join(f"{each.candidate}: {each.shortcoming}" for each in others[:MAX_NAMES] if each.shortcoming)
    return f"none of {_counted(len(others), 'candidate')} qualifies" + (f"; {reasons}" if reasons else "")


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
