# SPDX-License-Identifier: Apache-2.0
"""Builds on request, each thing once: from the store if it is there, else in a subprocess.

Any `concurrent.futures.Executor` can run the builds. The default runs them on this machine, one after
the other; `distributed.Client.get_executor()` spreads them over a Dask cluster.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File, Recipe
from reconciler.compiler.sandbox import BuildJob, BuildLimits, Progress, run_job
from reconciler.compiler.artifact_store import ArtifactStore

Fetch = Callable[[File], bytes]


class BuildService:
    """The store and the executor behind one door."""

    def __init__(
        self, store: ArtifactStore, *, executor: Executor | None = None, limits: BuildLimits | None = None
    ) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits or BuildLimits()
        # These threads wait for builds; with an executor of the caller's the work is done there.
        self._waiting = ThreadPoolExecutor(max_workers=8 if executor else 1, thread_name_prefix="build")
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[BuildResult]] = {}

    def cached(self, recipe: Recipe) -> BuildResult | None:
        """Return an artifact that exists, without building and without importing anything large."""
        return self._store.get(recipe.digest)

    def submit(self, recipe: Recipe, fetch: Fetch, progress: Progress | None = None) -> Future[BuildResult]:
        """Build, or join the build of the same thing that is under way."""
        digest = recipe.digest
        with self._lock:
            if digest not in self._under_way:
                future = self._waiting.submit(self._build, recipe, fetch, progress)
                self._under_way[digest] = future
                future.add_done_callback(lambda _done: self._forget(digest))
            else:
                future = self._under_way[digest]
            return future

    def build(self, recipe: Recipe, fetch: Fetch, progress: Progress | None = None) -> BuildResult:
        """Build and wait."""
        return self.submit(recipe, fetch, progress).result()

    def close(self) -> None:
        """Wait for what is under way and stop."""
        self._waiting.shutdown(wait=True)

    def _forget(self, digest: str) -> None:
        # A future that is done at once calls this inside `submit`, under the lock; hence no lock here.
        self._under_way.pop(digest, None)

    def _build(self, recipe: Recipe, fetch: Fetch, progress: Progress | None) -> BuildResult:
        with self._store.exclusively(recipe.digest):
            known = self._store.get(recipe.digest)
            if known is not None:
                return known
            job = BuildJob(recipe, {file.sha256: _checked(file, fetch(file)) for file in recipe.files()}, self._limits)
            built = self._executor.submit(run_job, job).result() if self._executor else run_job(job, progress)
            if not built.intact or built.report.recipe != recipe.digest:
                raise BuildFailed("the executor returned another build than it was asked for")
            self._store.put(recipe.digest, built)
            return built


def _checked(file: File, data: bytes) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise BuildFailed(f"{file.name} has the SHA-256 {found}, not {file.sha256}")
    return data
