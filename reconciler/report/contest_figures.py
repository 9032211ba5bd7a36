# SPDX-License-Identifier: Apache-2.0
"""The figures of a contest as its status file, the page and `tinyfleet contest` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.contest.decision import ContestDecision
from reconciler.contest.eligibility import ChampionFaults, shortcoming
from reconciler.contest.evidence import CandidateComparison
from reconciler.model import Candidate, Contest, ContestId, DeviceId, ReplacementRules, RolloutId

MAX_DEVICES = 5  # with the most errors; a storm at a thousand devices must not make a file of a thousand lines


@dataclass(frozen=True, slots=True)
class CandidateFigures:
    """What the rows show about one candidate."""

    candidate: str
    rank: int
    decided: int
    false_alarm_rate: float  # of all windows, estimated
    missed_rate: float
    shortcoming: str = ""  # why it cannot be the successor; empty: it can, or it is the champion


@dataclass(frozen=True, slots=True)
class DeviceErrors:
    """The champion's errors on one device within the time that counts."""

    device: DeviceId
    false_positives: int
    missed: int


@dataclass(frozen=True, slots=True)
class ContestLimits:
    """The rules of the contest to which figures are compared."""

    false_positives: int
    missed: int
    on_devices: int
    decided: int
    normals: int
    replacements: int


@dataclass(frozen=True, slots=True)
class ContestFigures:
    """One contest."""

    contest: ContestId
    rollout: RolloutId
    champion: str
    state: str
    cause: str  # why the champion should be replaced; empty: it should not
    successor: str  # empty: none
    since: datetime | None  # since when the rollout of the champion is complete
    until: datetime | None  # from then on, time alone may change the state
    decided: int
    undecided: int
    normals: int
    replaced: int
    limits: ContestLimits
    errors: tuple[DeviceErrors, ...]  # of the devices with the most
    devices_with_errors: int
    candidates: tuple[CandidateFigures, ...]  # the champion first, then by rank


def contest_figures(contest: Contest, decision: ContestDecision) -> ContestFigures:
    """Write a decision as figures."""
    rules, evidence = contest.replace, decision.evidence
    errors = [DeviceErrors(device, each.false_positives, each.missed) for device, each in decision.errors.items()]
    errors.sort(key=lambda each: (-each.false_positives - each.missed, each.device))
    return ContestFigures(
        contest.name,
        contest.rollout,
        str(decision.champion),
        decision.state.value,
        decision.cause.value if decision.cause is not None else "",
        str(decision.successor) if decision.successor is not None else "",
        evidence.round_began,
        decision.until,
        evidence.decided,
        evidence.undecided,
        evidence.normals,
        decision.replaced,
        _limits(rules),
        tuple(errors[:MAX_DEVICES]),
        len(errors),
        _standings(decision.champion, evidence.comparisons, rules),
    )


def _limits(rules: ReplacementRules) -> ContestLimits:
    return ContestLimits(
        rules.false_positives,
        rules.false_negatives,
        rules.on_devices,
        rules.decided,
        rules.normals,
        rules.at_most.count,
    )


def _standings(
    champion: Candidate, comparisons: Mapping[Candidate, CandidateComparison], rules: ReplacementRules
) -> tuple[CandidateFigures, ...]:
    ordered = sorted(comparisons.items(), key=lambda item: (item[0] != champion, -item[1].rank, item[0]))
    return tuple(
        CandidateFigures(
            str(candidate),
            comparison.rank,
            comparison.decided,
            float(comparison.false_alarm_rate),
            float(comparison.missed_rate),
            _shortcoming(comparison, rules) if candidate != champion else "",
        )
        for candidate, comparison in ordered
    )


def _shortcoming(comparison: CandidateComparison, rules: ReplacementRules) -> str:
    found = shortcoming(comparison, rules, ChampionFaults(false_positives=True, missed=True))
    return found.value if found is not None else ""
