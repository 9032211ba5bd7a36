# SPDX-License-Identifier: Apache-2.0
"""A training from its first windows to what became of its models, over restarts, with real trials."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconciler.compiler.pool.messages import WindowLayout
from reconciler.compiler.sandbox import BuildLimits
from reconciler.compiler.training.run_folder import RunFolder
from reconciler.contest.decision import ContestDecision, ContestState
from reconciler.contest.evidence import Evidence
from reconciler.contest.facts import ContestFacts
from reconciler.engine.samples.contest_station import DecidedContest
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.trainings.station import TrainingPorts, TrainingStation
from reconciler.git.proposal_outcomes import AlreadyInForce, DeclinedProposal, NotPushed, ProposalOutcome, Proposed
from reconciler.knowledge.records import LogPosition, SampleBatch, SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import (
    CandidateRules,
    Commit,
    Contest,
    ContestId,
    Desired,
    Digest,
    GatewayId,
    ModelPool,
    ModelSource,
    Objective,
    ObjectiveMetric,
    Rollout,
    RolloutId,
    Selector,
    Training,
    TrainingId,
    TrainingProposal,
    TrainingTrigger,
)
from reconciler.model.samples import SampleLog
from reconciler.report.device_status import PassStamp
from reconciler.report.training_status import read_training_file, training_file, training_status
from reconciler.training.decision import TrainingState
from tests.engine.reports import FixedClock
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, NOON, PUMP, STEP, sample, voter
from tests.plan.example_fleet import fleet
from tests.training.documents import SAMPLES, training

pytest.importorskip("sklearn", reason="needs the extra `build`")
pytestmark = pytest.mark.build

NORTH = GatewayId("north")
VOTERS = tuple(voter(number) for number in (1, 2, 3))
CANDIDATES = tuple(each.candidate for each in VOTERS)
RULES = Contest(CONTEST, RolloutId("pumps"), CandidateRules(("forest",)), pool=ModelPool(quorum=2))
TRAINING = training(
    contest=CONTEST,
    trials=2,
    when=TrainingTrigger(3600, 60),
    objective=Objective(ObjectiveMetric.FALSE_ALARMS_PER_1000, detection=10),
)
STAMP = PassStamp(NOON, Commit("c" * 40))


@dataclass
class KnownContests:
    """What trainings ask of contests."""

    knowledge: KnowledgeWriter
    decided: tuple[DecidedContest, ...]
    pending: frozenset[ContestId] = frozenset()
    layouts: Mapping[bytes, WindowLayout] = field(
        default_factory=lambda: {CONTEXT: WindowLayout(2, samples=SAMPLES, channels=1)}
    )


@dataclass
class KnownFiles:
    """What trainings ask of a builder."""

    files: Mapping[str, bytes]

    async def source_file(self, _desired: Desired, source: ModelSource) -> bytes:
        return self.files[source.path or ""]


def decided(state: ContestState = ContestState.WATCHING) -> DecidedContest:
    champion = CANDIDATES[0]
    rollout = Rollout(RULES.rollout, champion.model, Selector())
    own = OwnContest(RULES, rollout, champion, CANDIDATES, frozenset(CANDIDATES), frozenset({PUMP}), ())
    facts = ContestFacts(champion, CANDIDATES, frozenset(CANDIDATES), NOON, NOON)
    return DecidedContest(own, facts, ContestDecision(state, champion, Evidence.empty(champion, NOON, CANDIDATES), {}))


class SampleClock(FixedClock):
    """A clock that shows when the samples arrived."""

    def now(self) -> datetime:
        return NOON


class Passes:
    """A gateway's station, with a knowledge base."""

    def __init__(self, folder: Path, cluster: Callable[[], AbstractContextManager[Executor]] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.files: dict[str, bytes] = {}  # of the commit, by their paths
        self.cluster = cluster
        self.knowledge = KnowledgeWriter(folder / "knowledge.db")
        champion = SampleContext(CONTEXT, CANDIDATES[0].model, Digest("ab" * 32), {"threshold": 0.6})
        self.knowledge.save_context(champion)
        self.contests = KnownContests(self.knowledge, (decided(),))
        self.start()

    def start(self) -> None:
        """Start the station, as after a kill."""
        self.woken = asyncio.Event()
        contests: Any = self.contests  # as much of a station as is asked for
        builder: Any = KnownFiles(self.files)
        ports = TrainingPorts(NORTH, self.folder, contests, SampleClock(), BuildLimits(), builder, self.cluster)
        self.station = TrainingStation(ports, self.woken.set)

    def collect(self, normal: int, anomalous: int) -> None:
        """Store windows on which the pool agrees."""
        for log, count, spread in ((SampleLog.NORMALS, normal, 300.0), (SampleLog.ANOMALIES, anomalous, 4000.0)):
            first = self.knowledge.position(PUMP, log).offset // STEP
            windows = np.random.default_rng(first + log).normal(0, spread, (count, SAMPLES)).astype("<i2")
            made = [
                sample(first + place, log, window=window.tobytes(), features=(1,))
                for place, window in enumerate(windows)
            ]
            position = LogPosition((first + count) * STEP)
            self.knowledge.ingest(SampleBatch(CONTEST, PUMP, log, first * STEP, position, tuple(made)))
        self.vote()

    def vote(self) -> None:
        """Have the pool agree with the champion."""
        last = self.knowledge.last_sample(CONTEST)
        called = {each.id: each.sample.anomalous for each in self.knowledge.samples_after(CONTEST, 0, 10_000)}
        for who in VOTERS:
            self.knowledge.save_votes(CONTEST, {who: called}, last)

    def decide(self, wanted: Training = TRAINING) -> TrainingState:
        self.station.decide(self.desired(wanted), NOON)
        return self.station.decided[0].decision.state

    def desired(self, wanted: Training) -> Desired:
        """Return a commit with a training."""
        return Desired(Commit("c" * 40), fleet([]).fleet, {}, {}, {}, {}, {}, trainings={wanted.name: wanted})

    async def finish(self) -> None:
        """Wait for the trials."""
        while self.station.busy:
            self.woken.clear()
            await asyncio.wait_for(self.woken.wait(), 300)
            await asyncio.sleep(0)  # the task that woke this one ends in the next turn of the loop

    def reason(self) -> str:
        """Return the reason of the condition `Trained`, by way of the status file."""
        (report,) = self.station.reports()
        status = training_status(report, STAMP, None)
        file = training_file(status)
        assert training_file(read_training_file(file)) == file
        return status.conditions[1].reason

    def settle(self, outcome: ProposalOutcome) -> frozenset[str]:
        return self.station.settle({TRAINING.name: outcome})


def run(tmp_path: Path, story: Callable[[Passes], Awaitable[None]]) -> None:
    async def play() -> None:
        passes = Passes(tmp_path)
        try:
            await story(passes)
        finally:
            await passes.station.stop()
            passes.knowledge.close()

    asyncio.run(play())


def test_a_training_runs_once_there_are_enough_windows_and_its_models_are_proposed(tmp_path: Path) -> None:
    async def story(passes: Passes) -> None:
        passes.collect(20, 2)
        assert passes.decide() is TrainingState.WAITING_FOR_DATA
        assert (passes.station.busy, passes.reason()) == (False, "WaitingForData")
        passes.collect(60, 8)
        assert passes.decide() is TrainingState.DUE
        await passes.finish()
        assert passes.decide() is TrainingState.PROPOSING
        (wanted,) = passes.station.wanted()
        assert passes.reason() == "Proposing"
        passes.settle(NotPushed("RemoteUnavailable", "no route", transient=True))
        assert passes.reason() == "NotPushed"
        passes.settle(Proposed(Commit("d" * 40), wanted.target))
        assert passes.decide() is TrainingState.OPEN
        passes.start()
        assert passes.decide() is TrainingState.PROPOSING  # until the branch was seen
        assert passes.station.wanted() == (wanted,)
        passes.settle(AlreadyInForce())
        assert passes.decide() is TrainingState.WAITING_FOR_DATA
        assert (passes.reason(), passes.station.wanted()) == ("Merged", ())
        assert passes.station.unwanted({TRAINING.name}) == {TRAINING.name}
        known, passes.contests.decided = passes.contests.decided, ()
        passes.contests.pending = frozenset({CONTEST})
        passes.station.decide(passes.desired(TRAINING), NOON)
        assert passes.station.unwanted({TRAINING.name, TrainingId("gone")}) == {"gone"}  # its contest is not decided
        passes.contests.decided = known
        passes.collect(60, 0)
        assert passes.decide() is TrainingState.WAITING
        assert passes.station.next_change_at() is not None
        passes.contests.decided = (decided(ContestState.NO_SUCCESSOR),)
        patient = replace(TRAINING, when=replace(TRAINING.when, on_no_successor=False))
        assert passes.decide(patient) is TrainingState.WAITING

    run(tmp_path, story)


def test_a_run_that_was_killed_goes_on_with_the_same_windows(tmp_path: Path) -> None:
    async def story(passes: Passes) -> None:
        passes.collect(80, 8)
        passes.decide()
        folder = RunFolder(tmp_path, TRAINING.name)
        while folder.record() is None:
            await asyncio.wait_for(passes.woken.wait(), 300)
            passes.woken.clear()
        begun = folder.record()
        await passes.station.stop()
        passes.collect(40, 0)  # what arrives meanwhile belongs to the next run
        passes.start()
        assert passes.decide() is TrainingState.RUNNING
        await passes.finish()
        ended = folder.record()
        assert begun is not None
        assert ended is not None
        assert (ended.digest, ended.snapshot, ended.last_sample) == (begun.digest, begun.snapshot, begun.last_sample)
        assert passes.decide() is TrainingState.PROPOSING
        earlier = DeclinedProposal(Commit("d" * 40), "models forest@20200101-00000000")
        assert passes.settle(earlier) == {TRAINING.name}
        assert passes.decide() is TrainingState.PROPOSING
        declined = DeclinedProposal(Commit("d" * 40), passes.station.wanted()[0].target)
        assert passes.settle(declined) == {TRAINING.name}
        assert (passes.decide(), passes.reason()) == (TrainingState.WAITING_FOR_DATA, "ModelsDeclined")

    run(tmp_path, story)


def test_windows_that_are_deleted_during_a_run_leave_no_model(tmp_path: Path) -> None:
    async def story(passes: Passes) -> None:
        passes.collect(80, 8)
        passes.decide()
        folder = RunFolder(tmp_path, TRAINING.name)
        while folder.record() is None:
            await asyncio.wait_for(passes.woken.wait(), 300)
            passes.woken.clear()
        folder.forget_windows()
        await passes.finish()
        assert (folder.record(), folder.outcomes(), folder.requested()) == (None, {}, True)
        assert passes.decide() is TrainingState.DUE

    run(tmp_path, story)


def test_what_never_proposes_says_so_and_what_is_short_of_windows_waits(tmp_path: Path) -> None:
    async def story(passes: Passes) -> None:
        passes.collect(15, 60)
        assert passes.decide() is TrainingState.DUE
        await passes.finish()
        assert passes.decide() is TrainingState.WAITING_FOR_DATA
        assert "normal windows to" in passes.station.reports()[0].short
        passes.collect(70, 0)
        never = replace(TRAINING, propose=TrainingProposal.NEVER, trials=1)
        assert passes.decide(never) is TrainingState.DUE
        await passes.finish()
        assert passes.decide(never) is TrainingState.WAITING_FOR_DATA
        assert (passes.reason(), passes.station.wanted()) == ("ProposeNever", ())
        RunFolder(tmp_path, TRAINING.name).request()
        assert passes.decide(never) is TrainingState.DUE

    run(tmp_path, story)
