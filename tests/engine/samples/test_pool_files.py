# SPDX-License-Identifier: Apache-2.0
"""A pack in the fleet repository votes as it is: through the real builder, and in the real caged process."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pool.messages import PooledModel, SampleRows, WindowLayout
from reconciler.compiler.pool.process import FAILURES_MAX, CagedPool
from reconciler.compiler.service import BuildService
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.engine.artifacts.build_service_adapter import ServiceBuilder
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.samples.pool_models import PoolModels
from reconciler.load import DirectoryTree
from reconciler.model import (
    Candidate,
    CandidateRules,
    Commit,
    Contest,
    ContestId,
    Digest,
    Model,
    ModelRef,
    ModelSource,
    RolloutId,
    Version,
)
from tests.plan.example_fleet import ESP32, EVERYWHERE, device, fleet

JURY = ModelRef("jury", Version("1"))
PACK = build_threshold_pack([1, 1, 1], threshold=100)
WINDOWS = np.array([[1, 2, 3], [300, 2, 3], [-5, 0, 0]], "<i2")
ROWS = SampleRows(WindowLayout(int(ElementType.INT16)), len(WINDOWS), b"", WINDOWS.tobytes())


class Commits:
    """A folder as the files of every commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def tree(self, _commit: Commit) -> Iterator[DirectoryTree]:
        yield DirectoryTree(self._folder)


def contest() -> OwnContest:
    spec = Contest(ContestId("c"), RolloutId("everywhere"), CandidateRules(("jury",)))
    jury = Candidate(JURY)
    return OwnContest(spec, EVERYWHERE, jury, (), frozenset({jury}), frozenset(), (ESP32,))


def made(folder: Path, digest: str) -> tuple[PooledModel | None, dict[str, str]]:
    """Return what the pool would load of the pack with this digest in the folder, and what failed."""
    jury = Model(JURY, ModelSource(Digest(digest), path="models/jury.pack"), pool_only=True)
    desired = replace(fleet([device(1)]), models={JURY: jury})
    service = BuildService(ArtifactStore(str(folder / "store")))

    async def main() -> tuple[PooledModel | None, dict[str, str]]:
        with ThreadPoolExecutor(1) as git_thread:
            builder = ServiceBuilder(service, Commits(folder), git_thread)  # type: ignore[arg-type]  # only its files matter
            models = PoolModels(builder, ready.set)
            models.ensure(desired, contest())
            await ready.wait()
            return models.of(contest()).get(JURY), dict(models.failures(contest()))

    ready = asyncio.Event()
    try:
        return asyncio.run(main())
    finally:
        service.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/jury.pack").write_bytes(PACK)
    return tmp_path


def test_a_pack_of_the_repository_votes(folder: Path) -> None:
    model, failures = made(folder, hashlib.sha256(PACK).hexdigest())
    assert failures == {}
    assert model is not None
    assert model.data == PACK
    pool = CagedPool()
    assert pool.vote(model, ROWS, [None, 2.0, 1000.0]) == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]
    pool.close()


def test_a_pack_other_than_the_document_says_is_refused(folder: Path) -> None:
    model, failures = made(folder, hashlib.sha256(b"another").hexdigest())
    assert model is None
    assert "SHA-256" in failures[str(JURY)]


def test_a_malformed_pack_of_the_repository_abstains(folder: Path) -> None:
    """Its digest is the stated one, so only the check of the pack itself can find it."""
    cut = PACK[:-4]
    (folder / "models/jury.pack").write_bytes(cut)
    model, failures = made(folder, hashlib.sha256(cut).hexdigest())
    assert failures == {}
    assert model is not None
    pool = CagedPool()
    for _ in range(FAILURES_MAX):
        assert pool.vote(model, ROWS, [None]) is None
    assert "the header declares" in pool.failing[str(JURY)]
    pool.close()
