# SPDX-License-Identifier: Apache-2.0
"""Builds that fail: which are tried again, when, and what devices and rollouts report meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from reconciler.compiler.artifact_store import StoreUnavailable
from reconciler.compiler.errors import BuildGateFailed, ToolsMissing
from reconciler.compiler.source_fetcher import SourceUnavailable
from reconciler.engine.artifacts.catalog import LONGEST_PAUSE_S, LOOK_EVERY_S, ArtifactCatalog
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import FleetError, ResourcesExhausted, Unusable
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Desired,
    Digest,
    Install,
    ModelRef,
    ModelSource,
    Origin,
    Version,
)
from reconciler.provenance.statement import BuildRecord
from tests.engine.one_device import DEVICE, FullStore
from tests.plan.example_fleet import ESP32, EVERYWHERE, V2, device, fleet

PLAIN = replace(ESP32, prebaked=())
TRANSIENT = [
    SourceUnavailable("no route to host"),
    StoreUnavailable("connection refused"),
    ToolsMissing("TensorFlow is not installed"),
    ResourcesExhausted("no memory"),
]


@dataclass
class ScriptedBuilder(FullStore):
    """A builder that fails in a given way, and a store that another machine may fill."""

    failure: FleetError | None
    version: int = 1
    built: int = 0
    stored: Artifact | None = None
    looks: int = 0
    away: FleetError | None = None
    artifact: Artifact = field(
        default_factory=lambda: Artifact(V2, ESP32.name, Digest("2" * 64), 100, 0, frozenset({"THRESHOLD"}))
    )

    def source(self, _desired: Desired, key: ArtifactKey) -> str:
        return f"{key} {self.version}"

    async def build(self, _desired: Desired, _key: ArtifactKey) -> Artifact:
        self.built += 1
        if self.failure is not None:
            raise self.failure
        return self.artifact

    async def find(self, _desired: Desired, _key: ArtifactKey) -> Artifact | None:
        self.looks += 1
        return self.stored

    def pack(self, _desired: Desired, _artifact: Artifact) -> bytes:
        if self.away is not None:
            raise self.away
        return b"pack"

    async def record(self, _desired: Desired, _artifact: Artifact) -> BuildRecord | None:
        return None

    def gates(self, _desired: Desired, _artifact: Artifact) -> tuple[str, ...]:
        return ()

    def figures(self, _desired: Desired, _artifact: Artifact) -> dict[str, float]:
        return {}

    async def source_file(self, _desired: Desired, source: ModelSource) -> bytes:
        raise NotImplementedError(source)


class Passes:
    """Passes over a catalog, at times that a test chooses."""

    def __init__(self, builder: ScriptedBuilder, state: StateWriter) -> None:
        self.builder = builder
        self.woken = 0
        self.catalog = ArtifactCatalog(builder, state, self._wake, random.Random(1))
        self.desired = fleet([device(1)], rollouts=(EVERYWHERE,), types=(PLAIN,))
        self.action = Install(DEVICE, EVERYWHERE.name, V2, Origin.BUILD, {}, "new")

    def _wake(self) -> None:
        self.woken += 1

    async def at(self, now_s: float) -> None:
        """Run one pass, and whatever it starts."""
        self.catalog.build_missing(self.desired, (self.action,), now_s)
        while self.catalog.building:  # noqa: ASYNC110 - as a pass does, which the end of a build wakes
            await asyncio.sleep(0)

    @property
    def reason(self) -> str:
        return next((each.reason for each in self.catalog.failures.values()), "")


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("failure", TRANSIENT, ids=lambda failure: failure.reason)
def test_a_failure_that_may_pass_is_tried_again_after_a_pause(state: StateWriter, failure: FleetError) -> None:
    async def work() -> None:
        passes = Passes(ScriptedBuilder(failure), state)
        await passes.at(now_s())
        assert (passes.builder.built, passes.reason) == (1, failure.reason)
        pause_s = passes.catalog.next_try_in_s(now_s())
        assert pause_s is not None
        assert 0 < pause_s < LONGEST_PAUSE_S
        await passes.at(now_s())
        assert passes.builder.built == 1
        passes.builder.failure = None
        await passes.at(now_s() + pause_s + 1)
        assert (passes.builder.built, passes.reason) == (2, "")
        assert passes.catalog.next_try_in_s(now_s()) is None
        assert (V2, ESP32.name) in passes.catalog.available(passes.desired).by_key

    run(work)


def test_each_further_failure_doubles_the_pause_up_to_a_limit(state: StateWriter) -> None:
    async def work() -> None:
        passes = Passes(ScriptedBuilder(SourceUnavailable("down")), state)
        pauses = []
        for _ in range(12):
            await passes.at(now_s() + 10 * LONGEST_PAUSE_S)
            pause_s = passes.catalog.next_try_in_s(now_s())
            assert pause_s is not None
            pauses.append(pause_s)
        assert all(later > before for before, later in pairwise(pauses[:6]))
        assert max(pauses) <= 1.25 * LONGEST_PAUSE_S

    run(work)


def test_a_failure_of_the_model_waits_for_git(state: StateWriter) -> None:
    async def work() -> None:
        passes = Passes(ScriptedBuilder(BuildGateFailed("auc is 0.7")), state)
        await passes.at(now_s())
        await passes.at(now_s() + 100 * LONGEST_PAUSE_S)
        assert (passes.builder.built, passes.builder.looks) == (1, 0)
        assert passes.catalog.next_try_in_s(now_s()) is None
        passes.builder.failure, passes.builder.version = None, 2
        passes.desired = fleet([device(1)], rollouts=(EVERYWHERE,), types=(PLAIN,))
        await passes.at(now_s())
        assert (passes.builder.built, passes.reason) == (2, "")

    run(work)


def test_what_another_machine_built_meanwhile_is_found_in_the_store(state: StateWriter) -> None:
    async def work() -> None:
        builder = ScriptedBuilder(ToolsMissing("TensorFlow is not installed"))
        passes = Passes(builder, state)
        await passes.at(now_s())
        builder.stored = builder.artifact
        woken = passes.woken
        await passes.at(now_s() + 1.5 * LOOK_EVERY_S)
        assert (V2, ESP32.name) in passes.catalog.available(passes.desired).by_key
        assert (builder.built, builder.looks, passes.reason, passes.woken) == (1, 1, "", woken + 1)

    run(work)


def test_a_failure_that_no_plan_needs_any_longer_is_forgotten(state: StateWriter) -> None:
    async def work() -> None:
        passes = Passes(ScriptedBuilder(ToolsMissing("TensorFlow is not installed")), state)
        await passes.at(now_s())
        assert passes.catalog.failures_of(passes.desired, [passes.action]).keys() == {DEVICE}
        other = ModelRef(V2.name, Version("9"))
        passes.action = Install(DEVICE, EVERYWHERE.name, other, Origin.ARTIFACT, {}, "new")
        await passes.at(now_s())
        assert passes.catalog.failures == {}
        assert passes.catalog.next_try_in_s(now_s()) is None

    run(work)


def test_a_store_that_does_not_answer_has_lost_nothing(state: StateWriter) -> None:
    async def work() -> None:
        builder = ScriptedBuilder(None)
        passes = Passes(builder, state)
        await passes.at(now_s())
        builder.away = StoreUnavailable("connection refused")
        with pytest.raises(StoreUnavailable):
            passes.catalog.pack(passes.desired, builder.artifact)
        await passes.at(now_s())
        assert builder.built == 1
        builder.away = Unusable("it is gone")
        with pytest.raises(Unusable):
            passes.catalog.pack(passes.desired, builder.artifact)
        await passes.at(now_s())
        assert builder.built == 2

    run(work)
