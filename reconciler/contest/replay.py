# SPDX-License-Identifier: Apache-2.0
"""What a contest would have decided over the same rows with other rules.

Each replacement is taken to be merged and complete at once. A row is evaluated as if the champion of that
moment had run on the device. What it would have sent in addition is unknown, so the result is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from reconciler.contest.decision import ContestDecision, ContestState, decide
from reconciler.contest.evaluated_sample import EvaluatedSample, as_if
from reconciler.contest.evidence import Evidence, with_truths
from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.model import Candidate, Contest

Decide = Callable[[Contest, ContestFacts, Evidence, datetime], ContestDecision]
Decided = tuple[EvaluatedSample, bool | None]


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The replacements, and the errors of whichever candidate was champion at the time."""

    champion: Candidate
    replacements: tuple[Replacement, ...]
    windows: int  # weighted, as the rest; only those that are decided
    false_alarms: int
    missed: int


def replay(
    contest: Contest, facts: ContestFacts, rows: Collection[EvaluatedSample], *, rule: Decide = decide
) -> ReplayOutcome:
    """Replay rows from the champion of `facts` on, whose history is not used. The order of rows does not matter."""
    ordered = sorted(with_truths(contest.pool, facts.voters, rows), key=_time)
    windows = false_alarms = missed = 0
    start = _time(ordered[0]) - timedelta(microseconds=1) if ordered else facts.kept_since
    situation = replace(
        facts, complete_since=start, kept_since=start, stopped="", replacements=(), open=None, declined=frozenset()
    )
    evidence = _evidence(situation, ())
    seen: list[Decided] = []
    for now, group in groupby(ordered, key=_time):
        for sample, truth in group:
            seen.append((sample, truth))
            decision = sample.decision_of(situation.champion)
            if truth is not None and decision is not None:
                windows += sample.weight
                false_alarms += sample.weight * (decision and not truth)
                missed += sample.weight * (truth and not decision)
            _add(evidence, situation.champion, sample, truth)
        evidence.forget_errors_before(now - timedelta(seconds=contest.replace.within_s))
        if not evidence.errors:
            continue
        found = rule(contest, situation, evidence, now)
        if found.state is ContestState.DUE and found.successor is not None:
            change = Replacement(now, situation.champion, found.successor, proposed=True)
            situation = replace(
                situation,
                champion=found.successor,
                complete_since=now,
                replacements=(*situation.replacements, change),
            )
            evidence = _evidence(situation, seen)
    return ReplayOutcome(situation.champion, situation.replacements, windows, false_alarms, missed)


def _evidence(facts: ContestFacts, seen: Collection[Decided]) -> Evidence:
    evidence = Evidence.empty(facts.champion, facts.complete_since, facts.candidates)
    for sample, truth in seen:
        _add(evidence, facts.champion, sample, truth)
    return evidence


def _add(evidence: Evidence, champion: Candidate, sample: EvaluatedSample, truth: bool | None) -> None:  # noqa: FBT001
    evidence.add(as_if(sample, champion) or sample, truth)


def _time(decided: Decided) -> datetime:
    return decided[0].received_at
