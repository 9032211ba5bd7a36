# SPDX-License-Identifier: Apache-2.0
"""Our rules in a closed loop: what the champion of the time decides is what the gateway gets to see.

Every anomaly travels, and one in `NORMAL` of the other windows. After each row the decision is derived as on a gateway.
What is due replaces the champion at once, as if it were merged and confirmed in the same moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bench.contest.forests import THRESHOLD, BenchForest
from bench.contest.play import Play, Ranks, Round, Setting
from reconciler.contest.decision import ContestState, decide
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.evidence import gather
from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.contest.vote import has_quorum, truth_of
from reconciler.model import (
    Candidate,
    CandidateRules,
    Contest,
    ContestId,
    DeviceId,
    RolloutId,
    SampleCollection,
    SampleLog,
)
from reconciler.training.selection import KnownWindow

NORMAL = 12
CONTEST = Contest(
    ContestId("bearings"),
    RolloutId("bearings"),
    CandidateRules(tuple(f"bearing{number}" for number in range(1, 5))),
    collect=SampleCollection(normal=NORMAL),
)
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
DEVICE = DeviceId("sensor")


def as_candidate(forest: BenchForest) -> Candidate:
    """Return a forest as the candidate of a contest."""
    return Candidate(forest.ref, THRESHOLD)


def play_by_our_rules(setting: Setting, contest: Contest = CONTEST) -> Play:
    """Play one contest under these rules."""
    return Play(setting, tuple(_ClosedLoop(setting, contest).rounds()))


def collected_windows(setting: Setting, contest: Contest = CONTEST) -> tuple[Play, list[KnownWindow]]:
    """Play one contest; return what the gateway has collected in it. The number of a row is that of its window."""
    loop = _ClosedLoop(setting, contest)
    return Play(setting, tuple(loop.rounds())), loop.known()


class _ClosedLoop:
    def __init__(self, setting: Setting, contest: Contest) -> None:
        self._setting = setting
        self._contest = contest
        self._forests = {as_candidate(forest): forest for forest in setting.votes}
        self._rows: list[EvaluatedSample] = []
        self._windows: list[int] = []
        self._facts = ContestFacts(
            champion=as_candidate(setting.champion),
            candidates=tuple(sorted(self._forests)),
            voters=frozenset(self._forests),
            complete_since=self._time(setting.first),
            kept_since=self._time(setting.first),
        )

    def known(self) -> list[KnownWindow]:
        """Return the windows that travelled, as the pool sees them."""
        pool, voters = self._contest.pool, self._facts.voters
        return [
            KnownWindow(window, row, truth_of(row, pool, voters), has_quorum(row, pool, voters))
            for window, row in zip(self._windows, self._rows, strict=True)
        ]

    def rounds(self) -> Iterator[Round]:
        """Yield one round after the other, until the windows end."""
        first: int | None = self._setting.first
        while first is not None:
            champion = self._forests[self._facts.champion]
            ranks, following = self._until_replaced(champion, first)
            yield Round(champion, first, ranks)
            first = following

    def _until_replaced(self, champion: BenchForest, first: int) -> tuple[tuple[tuple[int, Ranks], ...], int | None]:
        """Play from a window on; return the ranks, and the window from which another forest is champion."""
        evidence = gather(self._contest, self._facts, self._rows)
        history: list[tuple[int, Ranks]] = []
        for window, row in self._collected(champion, first):
            self._rows.append(row)
            self._windows.append(window)
            evidence.add(row, truth_of(row, self._contest.pool, self._facts.voters))
            history.append((window, {self._forests[each]: evidence.comparisons[each].rank for each in self._forests}))
            decision = decide(self._contest, self._facts, evidence, row.received_at)
            if decision.state is ContestState.DUE and decision.successor:
                self._replace(decision.successor, row.received_at)
                return tuple(history), window + 1
        return tuple(history), None

    def _collected(self, champion: BenchForest, first: int) -> Iterator[tuple[int, EvaluatedSample]]:
        """Yield the windows from one on that the champion makes travel."""
        normals = 0
        for window in range(first, len(self._setting.run.life)):
            anomalous = bool(self._setting.votes[champion][window])
            normals += not anomalous
            if anomalous or not normals % self._contest.collect.normal:
                yield window, self._row(window, champion, anomalous=anomalous)

    def _row(self, window: int, champion: BenchForest, *, anomalous: bool) -> EvaluatedSample:
        return EvaluatedSample(
            device=DEVICE,
            received_at=self._time(window),
            log=SampleLog.ANOMALIES if anomalous else SampleLog.NORMALS,
            weight=1 if anomalous else self._contest.collect.normal,
            champion=as_candidate(champion),
            champion_anomalous=anomalous,
            label=None,
            votes={candidate: bool(self._setting.votes[forest][window]) for candidate, forest in self._forests.items()},
        )

    def _replace(self, successor: Candidate, at: datetime) -> None:
        change = Replacement(at, out=self._facts.champion, into=successor, proposed=True)
        self._facts = replace(
            self._facts, champion=successor, complete_since=at, replacements=(*self._facts.replacements, change)
        )

    def _time(self, window: int) -> datetime:
        return STARTED + timedelta(minutes=float(self._setting.run.minutes[window]))
