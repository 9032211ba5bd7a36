# SPDX-License-Identifier: Apache-2.0
"""Rows, facts and contests for the tests of decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.contest.decision import ContestDecision, decide
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.evidence import gather
from reconciler.contest.facts import ContestFacts
from reconciler.model import (
    Candidate,
    CandidateRules,
    Contest,
    ContestId,
    DeviceId,
    ModelPool,
    ModelRef,
    ReplacementLimit,
    ReplacementRules,
    RolloutId,
    SampleLog,
    Version,
)

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
EVERY = 10  # one in this many normal windows is collected
RULES = ReplacementRules(
    false_positives=5,
    false_negatives=5,
    within_s=86_400,
    tenure_s=3600,
    decided=20,
    normals=5,
    margin=20.0,
    not_again_for_s=7 * 86_400,
    at_most=ReplacementLimit(3, 30 * 86_400),
)


def candidate(version: str, threshold: float | None = 0.6) -> Candidate:
    return Candidate(ModelRef("forest", Version(version)), threshold)


A, B, C, D, E = (candidate(name) for name in "abcde")
EVERYONE = (A, B, C, D, E)
CONTEST = Contest(
    ContestId("pumps"),
    RolloutId("pumps"),
    CandidateRules(("forest",)),
    pool=ModelPool(quorum=3, agreement=50),
    replace=RULES,
)
FACTS = ContestFacts(A, EVERYONE, frozenset(EVERYONE), complete_since=BEGAN, kept_since=BEGAN)


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def row(
    minutes: float,
    votes: Mapping[Candidate, bool | None],
    *,
    champion: Candidate = A,
    device: str = "pump-1",
    label: bool | None = None,
) -> EvaluatedSample:
    """Make the row of a window that the champion decided as it votes."""
    anomalous = bool(votes.get(champion))
    log = SampleLog.ANOMALIES if anomalous else SampleLog.NORMALS
    return EvaluatedSample(
        DeviceId(device), at(minutes), log, 1 if anomalous else EVERY, champion, anomalous, label, votes
    )


def alarms(*alarming: Candidate, among: Sequence[Candidate] = EVERYONE) -> dict[Candidate, bool | None]:
    """Return votes in which exactly these candidates see an anomaly."""
    return {each: each in alarming for each in among}


def unsound(
    count: int = 5, *, quiet: int = 30, also: Sequence[Candidate] = (), first: float = 60
) -> list[EvaluatedSample]:
    """Return rows with this many false positives of A after many normal windows."""
    normal = [row(1 + index, alarms()) for index in range(quiet)]
    return normal + [row(first + index, alarms(A, *also)) for index in range(count)]


def decided(
    rows: Sequence[EvaluatedSample],
    minutes: float = 120,
    *,
    contest: Contest = CONTEST,
    facts: ContestFacts = FACTS,
    **rules: Any,  # noqa: ANN401 (any rule)
) -> ContestDecision:
    """Decide at a time, with some rules changed."""
    changed = replace(contest, replace=replace(contest.replace, **rules))
    return decide(changed, facts, gather(changed, facts, rows), at(minutes))
