# SPDX-License-Identifier: Apache-2.0
"""How the engine has artifacts built: one model for one device type, by the build service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File, Recipe, recipe_of
from reconciler.compiler.service import BuildService, checked
from reconciler.compiler.source_fetcher import fetch_source, fetcher, sources_of
from reconciler.compiler.source_signatures import ModelUnsigned, require_signatures
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.errors import FleetError
from reconciler.model import Artifact, ArtifactKey, Commit, Desired, Model, ModelRef, ModelSource
from reconciler.provenance.statement import BuildRecord, training_path
from reconciler.tree import REGULAR


class Builder(Protocol):
    """Builds packs and keeps them."""

    def source(self, desired: Desired, key: ArtifactKey) -> str:
        """Return the digest of all that a build is made of; with the same digest it has the same bytes."""

    async def build(self, desired: Desired, key: ArtifactKey) -> Artifact:
        """Build, or find what was built before. Raises a `FleetError` that says what is wrong with the model."""

    async def find(self, desired: Desired, key: ArtifactKey) -> Artifact | None:
        """Return what was built before, here or by another machine; builds nothing."""

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return the bytes of what was built."""

    def gates(self, desired: Desired, artifact: Artifact) -> tuple[str, ...]:
        """Return the figure of each gate that a build has passed."""

    def figures(self, desired: Desired, artifact: Artifact) -> Mapping[str, float]:
        """Return the figures of a build."""

    async def source_file(self, desired: Desired, source: ModelSource) -> bytes:
        """Return a file that is not built, with the digest that a document states."""

    async def record(self, desired: Desired, artifact: Artifact) -> BuildRecord | None:
        """Return what an artifact was built from; None: it is not, or no longer, in the store."""


class ServiceBuilder:
    """Uses the build service; files come from the commit that names them."""

    def __init__(
        self,
        service: BuildService,
        source: DesiredStateSource,
        git_thread: Executor,
        model_keys: Sequence[EllipticCurvePublicKey] = (),
    ) -> None:
        self._service = service
        self._source = source
        self._git_thread = git_thread
        self._model_keys = model_keys  # of those who sign the files of models; none: no signature is needed

    def source(self, desired: Desired, key: ArtifactKey) -> str:
        """Return the digest of all that a build is made of."""
        return _recipe(desired, key).digest

    async def build(self, desired: Desired, key: ArtifactKey) -> Artifact:
        """Build one pack, or find it in the store."""
        recipe = _recipe(desired, key)
        await self._require_signatures(desired, _sources(desired, key[0]))

        def fetch(file: File) -> bytes:  # called on the build's thread, which waits for the Git thread
            return self._git_thread.submit(self._fetch, desired, key[0], file).result()

        built = await asyncio.wrap_future(self._service.submit(recipe, fetch))
        return built.artifact

    async def find(self, desired: Desired, key: ArtifactKey) -> Artifact | None:
        """Look into the store, which may be far away, and may have what another gateway built from unsigned files."""
        try:
            await self._require_signatures(desired, _sources(desired, key[0]))
        except ModelUnsigned:
            return None  # a build says what is missing
        built = await asyncio.to_thread(self._service.cached, _recipe(desired, key))
        return built.artifact if built is not None else None

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return the bytes of what was built."""
        built = self._service.cached(_recipe(desired, (artifact.model, artifact.type)))
        if built is None:
            raise BuildFailed(f"{artifact.model} for {artifact.type} is no longer in the store")
        return built.pack

    def gates(self, desired: Desired, artifact: Artifact) -> tuple[str, ...]:
        """Return the figure of each gate that a build has passed; none if the store can't be read."""
        try:
            built = self._service.cached(_recipe(desired, (artifact.model, artifact.type)))
        except FleetError:
            return ()
        return tuple(f"{gate.metric} {gate.value:.4g} ({gate.limit})" for gate in built.report.gates) if built else ()

    def figures(self, desired: Desired, artifact: Artifact) -> Mapping[str, float]:
        """Return the figures of a build."""
        built = self._service.cached(_recipe(desired, (artifact.model, artifact.type)))
        if built is None:
            raise BuildFailed(f"{artifact.model} for {artifact.type} is no longer in the store")
        return built.report.figures

    async def source_file(self, desired: Desired, source: ModelSource) -> bytes:
        """Return a file that is not built."""
        await self._require_signatures(desired, [source])
        data = await asyncio.get_running_loop().run_in_executor(self._git_thread, self._fetch_source, desired, source)
        return checked(File(source.path or source.url or "", source.sha256), data)

    async def record(self, desired: Desired, artifact: Artifact) -> BuildRecord | None:
        """Return what an artifact was built from, as the commit that is enforced describes it."""
        recipe = _recipe(desired, (artifact.model, artifact.type))
        built = await asyncio.to_thread(self._service.cached, recipe)
        if built is None or built.report.digest != artifact.digest:
            return None
        model = desired.models[artifact.model]
        training = await asyncio.get_running_loop().run_in_executor(
            self._git_thread, self._training_sha256, desired.commit, model
        )
        return BuildRecord(model, recipe, built.report, desired.commit, training)

    async def _require_signatures(self, desired: Desired, sources: Iterable[ModelSource]) -> None:
        if not self._model_keys:
            return

        def require() -> None:
            with self._source.tree(desired.commit) as tree:
                require_signatures(sources, tree, self._model_keys)

        await asyncio.get_running_loop().run_in_executor(self._git_thread, require)

    def _training_sha256(self, commit: Commit, model: Model) -> str | None:
        """Return the digest of what a training says about a source; None: no training made it."""
        path = training_path(model.source)
        if path is None:
            return None
        with self._source.tree(commit) as tree:
            found = next((entry for entry in tree.entries() if entry.path == path and entry.mode in REGULAR), None)
            return hashlib.sha256(tree.read(found)).hexdigest() if found is not None else None

    def _fetch(self, desired: Desired, ref: ModelRef, file: File) -> bytes:
        with self._source.tree(desired.commit) as tree:
            return fetcher(desired.models[ref], tree)(file)

    def _fetch_source(self, desired: Desired, source: ModelSource) -> bytes:
        with self._source.tree(desired.commit) as tree:
            return fetch_source(source, tree)


def _sources(desired: Desired, ref: ModelRef) -> Iterable[ModelSource]:
    return sources_of(desired.models[ref]).values() if ref in desired.models else ()


def _recipe(desired: Desired, key: ArtifactKey) -> Recipe:
    ref, kind = key
    if ref not in desired.models:
        raise BuildFailed(f"Git no longer has {ref}, so its artifact can't be found")
    return recipe_of(desired.models[ref], desired.types[kind])
