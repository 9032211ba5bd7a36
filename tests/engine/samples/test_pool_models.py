# SPDX-License-Identifier: Apache-2.0
"""What a pool needs of each model: a pack of the device's type, a pack without limits, or the file itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pool.messages import PooledKind
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.samples.pool_models import GATEWAY_TYPE, PoolModels
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Candidate,
    CandidateRules,
    Contest,
    ContestId,
    Decide,
    Desired,
    Digest,
    Model,
    ModelRef,
    ModelSource,
    RolloutId,
    TypeId,
    Version,
)
from reconciler.provenance.statement import BuildRecord
from tests.plan.example_fleet import ESP32, EVERYWHERE, device, fleet

CHAMPION, JURY = ModelRef("forest", Version("1")), ModelRef("jury", Version("1"))


class Recorder:
    """A builder that notes what it is asked for."""

    def __init__(self) -> None:
        self.built: list[ArtifactKey] = []
        self.fetched: list[ModelSource] = []
        self.refuse = False

    def source(self, desired: Desired, key: ArtifactKey) -> str:
        return f"{desired.models[key[0]].source.sha256} {key[1]}"

    async def build(self, _desired: Desired, key: ArtifactKey) -> Artifact:
        self.built.append(key)
        if self.refuse:
            raise BuildFailed("the file is damaged")
        return Artifact(key[0], key[1], Digest("a" * 64), 900, 64, frozenset())

    async def find(self, _desired: Desired, key: ArtifactKey) -> Artifact | None:
        raise AssertionError(key)

    async def record(self, _desired: Desired, _artifact: Artifact) -> BuildRecord | None:
        return None

    def gates(self, _desired: Desired, artifact: Artifact) -> tuple[()]:
        raise AssertionError(artifact)

    def figures(self, _desired: Desired, _artifact: Artifact) -> dict[str, float]:
        return {}

    def pack(self, _desired: Desired, artifact: Artifact) -> bytes:
        return f"{artifact.model} for {artifact.type}".encode()

    async def source_file(self, _desired: Desired, source: ModelSource) -> bytes:
        self.fetched.append(source)
        return b"a file"


def model(ref: ModelRef, path: str, *, pool_only: bool = False, sha256: str = "0") -> Model:
    return Model(ref, ModelSource(Digest(sha256 * 64), path=path), decide=Decide.RECONSTRUCTION, pool_only=pool_only)


def desired(jury: Model) -> Desired:
    return replace(fleet([device(1)]), models={CHAMPION: model(CHAMPION, "a.json"), JURY: jury})


def contest() -> OwnContest:
    spec = Contest(ContestId("c"), RolloutId("everywhere"), CandidateRules(("forest",)))
    voters = frozenset({Candidate(CHAMPION), Candidate(JURY)})
    return OwnContest(spec, EVERYWHERE, Candidate(CHAMPION), (), voters, frozenset(), (ESP32,))


async def ensured(models: PoolModels, wanted: Desired) -> None:
    models.ensure(wanted, contest())
    while models.busy:  # noqa: ASYNC110 - as a pass does
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("x.tflite", PooledKind.TFLITE), ("x.keras", PooledKind.KERAS), ("x.skops", PooledKind.SKOPS), ("x.pack", "pack")],
)
def test_a_file_of_the_pool_is_run_as_it_is(path: str, kind: str) -> None:
    async def main() -> None:
        builder = Recorder()
        models = PoolModels(builder, lambda: None)
        jury = model(JURY, path, pool_only=True)
        await ensured(models, desired(jury))
        made = models.of(contest())
        assert (made[JURY].kind, made[JURY].data, made[JURY].decide) == (kind, b"a file", "reconstruction")
        assert made[CHAMPION].data == b"forest@1 for esp32"
        assert (builder.built, builder.fetched) == ([(CHAMPION, ESP32.name)], [jury.source])
        assert models.settled(contest())

    asyncio.run(main())


def test_a_forest_of_the_pool_is_built_without_the_limits_of_a_device() -> None:
    async def main() -> None:
        builder = Recorder()
        models = PoolModels(builder, lambda: None)
        await ensured(models, desired(model(JURY, "x.csv", pool_only=True)))
        assert (JURY, GATEWAY_TYPE.name) in builder.built
        assert models.of(contest())[JURY].kind is PooledKind.PACK

    asyncio.run(main())


def test_nothing_is_made_twice_and_another_source_is_made_again() -> None:
    async def main() -> None:
        builder = Recorder()
        ready: list[None] = []
        models = PoolModels(builder, lambda: ready.append(None))
        first = desired(model(JURY, "x.csv", pool_only=True))
        for _ in range(3):
            await ensured(models, first)
        assert len(builder.built) == len(ready) == 2
        await ensured(models, desired(model(JURY, "x.csv", pool_only=True, sha256="1")))
        assert builder.built[2:] == [(JURY, TypeId("gateway-pool"))]

    asyncio.run(main())


def test_a_model_that_cannot_be_made_is_named_and_not_tried_again() -> None:
    async def main() -> None:
        builder = Recorder()
        builder.refuse = True
        models = PoolModels(builder, lambda: None)
        for _ in range(2):
            await ensured(models, desired(model(JURY, "x.csv", pool_only=True)))
        assert len(builder.built) == 2
        assert models.failures(contest()) == {str(CHAMPION): "the file is damaged", str(JURY): "the file is damaged"}
        assert models.settled(contest())
        assert models.of(contest()) == {}

    asyncio.run(main())
