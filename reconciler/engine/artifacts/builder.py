# SPDX-License-Identifier: Apache-2.0
"""Builds as the engine wants them: a model of Git, for a device type of Git, through the build service."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File, Recipe, recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.engine.artifacts.provider import Pair
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.model import Artifact, Desired


class ServiceBuilder:
    """Asks the build service; files come from the commit that names them."""

    def __init__(self, service: BuildService, wanted: DesiredStateSource, git_thread: Executor) -> None:
        self._service = service
        self._wanted = wanted
        self._git_thread = git_thread

    def source(self, desired: Desired, pair: Pair) -> str:
        """Name all that a build of this pair is made of."""
        return _recipe(desired, pair).digest

    async def build(self, desired: Desired, pair: Pair) -> Artifact:
        """Build one pack, or find it in the store."""
        recipe = _recipe(desired, pair)

        def fetch(file: File) -> bytes:
            return self._git_thread.submit(self._fetch, desired, pair, file).result()

        built = await asyncio.wrap_future(self._service.submit(recipe, fetch))
        return built.artifact

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return the bytes of what was built."""
        built = self._service.cached(_recipe(desired, (artifact.model, artifact.type)))
        if built is None:
            raise BuildFailed(f"{artifact.model} for {artifact.type} is no longer in the store")
        return built.pack

    def _fetch(self, desired: Desired, pair: Pair, file: File) -> bytes:
        with self._wanted.tree(desired.commit) as tree:
            return fetcher(desired.models[pair[0]], tree)(file)


def _recipe(desired: Desired, pair: Pair) -> Recipe:
    ref, kind = pair
    return recipe_of(desired.models[ref], desired.types[kind])
