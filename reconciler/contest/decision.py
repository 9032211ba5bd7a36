# SPDX-License-Identifier: Apache-2.0
"""The decision: whether the champion is sound, and which candidate to propose instead.

It is derived from rows and facts on each pass. Whatever is lost delays a replacement and causes none: fewer
rows are fewer errors of the champion, and a knowledge base that starts again starts the tenure again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.contest.eligibility import ChampionFaults, successors
from reconciler.contest.evidence import Evidence
from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.model import Candidate, Contest, DeviceId, ReplacementRules


class ContestState(StrEnum):
    """The state of a contest: the first that applies, in this order."""

    SUSPENDED = "Suspended"
    ROLLOUT_STOPPED = "RolloutStopped"  # and there is no champion before it to return to
    SETTLING = "Settling"  # the rollout is not complete, or the tenure is not over
    WATCHING = "Watching"  # the champion is sound
    TOO_LITTLE_SEEN = "TooLittleSeen"
    NO_SUCCESSOR = "NoSuccessor"
    FLAPPING = "Flapping"  # too many replacements: a person decides
    COOLING_DOWN = "CoolingDown"  # the only successors were champions a short time ago
    DECLINED = "Declined"  # a person removed the branch that proposed it
    OPEN = "Open"  # it is proposed
    DUE = "Due"  # it should be proposed now


class Cause(StrEnum):
    """Why the champion should be replaced."""

    FALSE_POSITIVES = "TooManyFalsePositives"
    MISSED = "TooManyMissed"
    ROLLOUT_STOPPED = "RolloutStopped"


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The champion's errors on one device within the time that counts."""

    false_positives: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class ContestDecision:
    """The state of a contest, and what it is derived from."""

    state: ContestState
    champion: Candidate
    evidence: Evidence
    errors: Mapping[DeviceId, ErrorCounts]
    cause: Cause | None = None  # None: the champion is sound, or it is too early to know
    successor: Candidate | None = None
    until: datetime | None = None  # from then on, time alone may change the state
    replaced: int = 0  # replacements by this contest in the period that `atMost` limits
    outdated: bool = False  # the open branch proposes what this decision does not


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: ContestState
    cause: Cause | None = None
    successor: Candidate | None = None
    until: datetime | None = None


def decide(contest: Contest, facts: ContestFacts, evidence: Evidence, now: datetime) -> ContestDecision:
    """Decide on one contest. `evidence` is gathered for the champion of `facts`."""
    errors = count_errors(evidence, contest.replace, now)
    found = _outcome(contest, facts, evidence, errors, now)
    replaced = len(_counted(facts, contest.replace, now))
    outdated = not contest.suspend and facts.open not in {None, found.successor}
    return ContestDecision(
        found.state, facts.champion, evidence, errors, found.cause, found.successor, found.until, replaced, outdated
    )


def count_errors(evidence: Evidence, rules: ReplacementRules, now: datetime) -> Mapping[DeviceId, ErrorCounts]:
    """Count the champion's errors on each device, within the time that counts."""
    since = now - timedelta(seconds=rules.within_s)
    counts = Counter((error.device, error.missed) for error in evidence.errors if error.at > since)
    devices = sorted({device for device, _ in counts})
    return {device: ErrorCounts(counts[device, False], counts[device, True]) for device in devices}


def _outcome(
    contest: Contest,
    facts: ContestFacts,
    evidence: Evidence,
    errors: Mapping[DeviceId, ErrorCounts],
    now: datetime,
) -> _Outcome:
    if contest.suspend:
        return _Outcome(ContestState.SUSPENDED)
    if facts.stopped:
        return _after_stop(facts)
    settled_at = _settled_at(facts, contest.replace)
    if settled_at is None or now < settled_at:
        return _Outcome(ContestState.SETTLING, until=settled_at)
    found = _successor(contest, facts, evidence, errors, now)
    if facts.open is not None and facts.open in facts.candidates and _still_better(evidence, facts.open):
        return _Outcome(ContestState.OPEN, found.cause, facts.open)  # it stays, so that reviews of it do
    return found


def _after_stop(facts: ContestFacts) -> _Outcome:
    """Return to the champion before, if it was this contest that replaced it."""
    last = max(facts.replacements, key=lambda each: each.at, default=None)
    if last is None or not last.proposed or last.into != facts.champion or last.out not in facts.candidates:
        return _Outcome(ContestState.ROLLOUT_STOPPED, Cause.ROLLOUT_STOPPED)
    return _proposal(facts, Cause.ROLLOUT_STOPPED, last.out)


def _settled_at(facts: ContestFacts, rules: ReplacementRules) -> datetime | None:
    if facts.complete_since is None:
        return None
    return max(facts.complete_since, facts.kept_since) + timedelta(seconds=rules.tenure_s)


def _successor(
    contest: Contest,
    facts: ContestFacts,
    evidence: Evidence,
    errors: Mapping[DeviceId, ErrorCounts],
    now: datetime,
) -> _Outcome:
    rules = contest.replace
    cause, faults = _faults(errors, rules)
    if cause is None:
        return _Outcome(ContestState.WATCHING)
    if evidence.decided < rules.decided or evidence.normals < rules.normals:
        return _Outcome(ContestState.TOO_LITTLE_SEEN, cause)
    eligible = successors(evidence, facts, rules, faults)
    if not eligible:
        return _Outcome(ContestState.NO_SUCCESSOR, cause)
    counted = _counted(facts, rules, now)
    if len(counted) >= rules.at_most.count:
        period = timedelta(seconds=rules.at_most.within_s)
        return _Outcome(ContestState.FLAPPING, cause, until=counted[-rules.at_most.count].at + period)
    cooling = {candidate: _cooling_until(candidate, facts, rules) for candidate in eligible}
    ready = [candidate for candidate, until in cooling.items() if until is None or until <= now]
    if not ready:
        until = min(until for until in cooling.values() if until is not None)
        return _Outcome(ContestState.COOLING_DOWN, cause, until=until)
    return _proposal(facts, cause, ready[0])


def _faults(errors: Mapping[DeviceId, ErrorCounts], rules: ReplacementRules) -> tuple[Cause | None, ChampionFaults]:
    """Return of what the champion has too many, on enough devices."""
    alarming = {device for device, count in errors.items() if count.false_positives >= rules.false_positives}
    missing = {device for device, count in errors.items() if count.missed >= rules.false_negatives}
    if len(alarming | missing) < rules.on_devices:
        return None, ChampionFaults(false_positives=False, missed=False)
    cause = Cause.FALSE_POSITIVES if len(alarming) >= len(missing) else Cause.MISSED
    return cause, ChampionFaults(bool(alarming), bool(missing))


def _proposal(facts: ContestFacts, cause: Cause, successor: Candidate) -> _Outcome:
    if successor in facts.declined:
        return _Outcome(ContestState.DECLINED, cause, successor)
    return _Outcome(ContestState.OPEN if facts.open == successor else ContestState.DUE, cause, successor)


def _still_better(evidence: Evidence, candidate: Candidate) -> bool:
    """Return whether an open proposal would still improve something and worsen nothing."""
    comparison = evidence.comparisons[candidate]
    mine = comparison.false_alarms, comparison.missed
    champion = comparison.champion_false_alarms, comparison.champion_missed
    return mine != champion and mine[0] <= champion[0] and mine[1] <= champion[1]


def _counted(facts: ContestFacts, rules: ReplacementRules, now: datetime) -> list[Replacement]:
    """Return the replacements that count towards the limit, in order."""
    since = now - timedelta(seconds=rules.at_most.within_s)
    return sorted((each for each in facts.replacements if each.proposed and each.at > since), key=lambda each: each.at)


def _cooling_until(candidate: Candidate, facts: ContestFacts, rules: ReplacementRules) -> datetime | None:
    """Return when a candidate that was champion may be one again; None: it was none."""
    left = [each.at for each in facts.replacements if each.out == candidate]
    return max(left) + timedelta(seconds=rules.not_again_for_s) if left else None
