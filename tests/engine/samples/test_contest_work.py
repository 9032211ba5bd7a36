# SPDX-License-Identifier: Apache-2.0
"""Between passes models vote, and evidence is gathered; nothing is decided before all of them could."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.contest.facts import ContestFacts
from reconciler.engine.samples.ballot import layout_of
from reconciler.engine.samples.contest_work import ContestWork
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.samples.pool_models import PoolModels
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.knowledge.records import SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Candidate,
    CandidateRules,
    Contest,
    Desired,
    Digest,
    ModelPool,
    ModelRef,
    ModelSource,
    RolloutId,
    Version,
)
from reconciler.provenance.statement import BuildRecord
from tests.compiler.random_forests import all_statistics, random_forest
from tests.engine.reports import FixedClock
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, NOON, PUMP, batch, sample
from tests.plan.example_fleet import ESP32, EVERYWHERE, device, fleet, model

WINDOW = all_statistics(8, 24, 1)
REFS = tuple(ModelRef("forest", Version(str(number))) for number in (1, 2, 3))
CANDIDATES = tuple(Candidate(ref, 0.5) for ref in REFS)


def pack_of(number: int) -> bytes:
    forest = random_forest(np.random.default_rng(number), ForestMode.ISOLATION, len(WINDOW.features), bits=8)
    parameter = Parameter(name_hash("threshold"), 20_000, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)
    return assemble_forest(forest, WINDOW, [parameter])


PACKS = {ref: pack_of(number) for number, ref in enumerate(REFS)}
WINDOWS = [np.random.default_rng(seed).integers(-3000, 3000, 24).astype("<i2").tobytes() for seed in range(40)]


class Workshop:
    """A builder that builds nothing before it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.broken: set[ModelRef] = set()

    def source(self, _desired: Desired, key: ArtifactKey) -> str:
        return str(key)

    async def build(self, _desired: Desired, key: ArtifactKey) -> Artifact:
        await self.open.wait()
        if key[0] in self.broken:
            raise BuildFailed("the file is damaged")
        return Artifact(key[0], key[1], Digest(key[0].version * 64), 900, 64, frozenset())

    def pack(self, _desired: Desired, artifact: Artifact) -> bytes:
        return PACKS[artifact.model]

    async def source_file(self, _desired: Desired, source: ModelSource) -> bytes:
        raise AssertionError(source)

    async def find(self, _desired: Desired, key: ArtifactKey) -> Artifact | None:
        raise AssertionError(key)

    async def record(self, _desired: Desired, _artifact: Artifact) -> BuildRecord | None:
        return None

    def gates(self, _desired: Desired, artifact: Artifact) -> tuple[()]:
        raise AssertionError(artifact)

    def figures(self, _desired: Desired, _artifact: Artifact) -> dict[str, float]:
        return {}


def own_contest() -> OwnContest:
    contest = Contest(CONTEST, RolloutId("everywhere"), CandidateRules(("forest",)), pool=ModelPool(quorum=2))
    rollout = replace(EVERYWHERE, model=REFS[0])
    return OwnContest(contest, rollout, CANDIDATES[0], CANDIDATES, frozenset(CANDIDATES), frozenset({PUMP}), (ESP32,))


DESIRED = replace(fleet([device(1)]), models={ref: model(ref) for ref in REFS})
FACTS = ContestFacts(CANDIDATES[0], CANDIDATES, frozenset(CANDIDATES), NOON - timedelta(hours=1), NOON)


class Bench:
    """The work on one contest, over a database that outlives it."""

    def __init__(self, path: Path) -> None:
        self.knowledge = KnowledgeWriter(path)
        self.knowledge.save_context(SampleContext(CONTEXT, REFS[0], Digest("1" * 64), {"threshold": 0.5}))
        self.contexts = SampleContexts(self.knowledge)
        self.workshop = Workshop()
        self.woken = asyncio.Event()
        self.models = PoolModels(self.workshop, self._model_ready)
        self.work = ContestWork(self.knowledge, self.contexts, self.models, FixedClock(), self.woken.set)
        self.own = own_contest()

    def _model_ready(self) -> None:
        self.work.models_changed()

    def refresh(self) -> object:
        self.models.ensure(DESIRED, self.own)
        return self.work.refresh(self.own, FACTS, {CONTEXT: layout_of(PACKS[REFS[0]])})

    async def until_evaluated(self) -> object:
        async with asyncio.timeout(60):
            while (evidence := self.refresh()) is None:
                self.woken.clear()
                await self.woken.wait()
        return evidence

    async def close(self) -> None:
        await self.models.stop()
        await self.work.stop()
        self.knowledge.close()


def on_bench(path: Path, use: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = Bench(path)
        try:
            await use(bench)
        finally:
            await bench.close()

    asyncio.run(main())


def store(bench: Bench, *, lie_about: int | None = None) -> None:
    """Store what the champion decided on a device."""
    engine = ReferenceInterpreter(PACKS[REFS[0]])
    limit = bench_limit(engine)
    samples = []
    for number, window in enumerate(WINDOWS):
        anomalous = engine.run([window], [limit]).decision != 0
        samples.append(sample(number, window=window, features=(), anomalous=anomalous ^ (number == lie_about)))
    bench.knowledge.ingest(batch(0, *samples))
    bench.work.note_new(CONTEST, len(samples))


def bench_limit(engine: ReferenceInterpreter) -> int:
    assert engine.parameters
    return encode_values(PACKS[REFS[0]], {"threshold": 0.5})[0]


@pytest.mark.timeout(120)
def test_nothing_is_known_before_every_model_is_ready(tmp_path: Path) -> None:
    """Otherwise a restart would look like a sound champion, and an open proposal would be withdrawn."""
    first: list[object] = []

    async def from_the_start(bench: Bench) -> None:
        store(bench)
        assert bench.refresh() is None
        async with asyncio.timeout(60):
            await bench.woken.wait()  # a turn without any model
        assert bench.refresh() is None
        bench.workshop.open.set()
        first.append(await bench.until_evaluated())
        votes = bench.knowledge.votes(CONTEST)
        assert len(votes) == len(WINDOWS)
        assert {frozenset(each) for each in votes.values()} == {frozenset(CANDIDATES)}
        assert bench.work.evaluated[CONTEST].doubts == {}

    async def after_a_restart(bench: Bench) -> None:
        assert bench.refresh() is None
        bench.workshop.open.set()
        first.append(await bench.until_evaluated())

    on_bench(tmp_path / "knowledge.db", from_the_start)
    on_bench(tmp_path / "knowledge.db", after_a_restart)
    assert first[0] == first[1]


@pytest.mark.timeout(120)
def test_a_model_that_cannot_be_built_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.workshop.broken.add(REFS[2])
        bench.workshop.open.set()
        store(bench)
        await bench.until_evaluated()
        assert {frozenset(each) for each in bench.knowledge.votes(CONTEST).values()} == {frozenset(CANDIDATES[:2])}
        assert bench.models.failures(bench.own) == {"forest@3": "the file is damaged"}

    on_bench(tmp_path / "knowledge.db", use)


@pytest.mark.timeout(120)
def test_a_device_that_decides_otherwise_than_its_model_is_doubted(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.workshop.open.set()
        store(bench, lie_about=7)
        await bench.until_evaluated()
        assert bench.work.evaluated[CONTEST].doubts == {PUMP: 1}

    on_bench(tmp_path / "knowledge.db", use)


@pytest.mark.timeout(120)
def test_a_label_by_another_process_is_noticed(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.workshop.open.set()
        store(bench)
        before = await bench.until_evaluated()
        other = KnowledgeWriter(bench.knowledge.path)
        for number in range(1, len(WINDOWS) + 1):
            other.label(number, "Ada", NOON, anomalous=number % 2 == 0)
        other.close()
        async with asyncio.timeout(60):
            while bench.refresh() == before:
                bench.woken.clear()
                await bench.woken.wait()

    on_bench(tmp_path / "knowledge.db", use)
