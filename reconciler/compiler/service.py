# SPDX-License-Identifier: Apache-2.0
"""Builds artifacts on request, each once: an artifact comes from the store, or is built in a subprocess.

Any `concurrent.futures.Executor` can run the builds. By default they run on this machine, one at a time;
`distributed.Client.get_executor()` spreads them over a Dask cluster.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File, Recipe
from reconciler.compiler.sandbox import BuildJob, BuildLimits, Progress, run_job

Fetch = Callable[[File], bytes]


class BuildService:
    """Gets artifacts from the store, and builds those that it lacks."""

    def __init__(
        self, store: ArtifactStore, *, executor: Executor | None = None, limits: BuildLimits | None = None
    ) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits or BuildLimits()
        # These threads run builds, or wait for them if the caller's executor runs them.
        self._waiting = ThreadPoolExecutor(max_workers=8 if executor else 1, thread_name_prefix="build")
        self._lock = threading.Lock()
        self._in_progress: dict[str, Future[BuildResult]] = {}

    def cached(self, recipe: Recipe) -> BuildResult | None:
        """Return an artifact from the store. Builds nothing, and imports no large package."""
        return self._store.get(recipe.digest)

    def submit(self, recipe: Recipe, fetch: Fetch, progress: Progress | None = None) -> Future[BuildResult]:
        """Start a build, or join the build of the same recipe that is in progress."""
        digest = recipe.digest
        with self._lock:
            if digest not in self._in_progress:
                future = self._waiting.submit(self._build, recipe, fetch, progress)
                self._in_progress[digest] = future
                future.add_done_callback(lambda _done: self._forget(digest))
            else:
                future = self._in_progress[digest]
            return future

    def build(self, recipe: Recipe, fetch: Fetch, progress: Progress | None = None) -> BuildResult:
        """Build in this thread and return the result. An interrupt ends the build at once."""
        return self._build(recipe, fetch, progress)

    def close(self) -> None:
        """Wait for the builds in progress, then stop."""
        self._waiting.shutdown(wait=True)

    def _forget(self, digest: str) -> None:
        # Takes no lock: a future that is done at once calls this inside `submit`, which holds it.
        self._in_progress.pop(digest, None)

    def _build(self, recipe: Recipe, fetch: Fetch, progress: Progress | None) -> BuildResult:
        with self._store.exclusively(recipe.digest):
            known = self._store.get(recipe.digest)
            if known is not None:
                return known
            job = BuildJob(recipe, {file.sha256: checked(file, fetch(file)) for file in recipe.files()}, self._limits)
            built = self._executor.submit(run_job, job).result() if self._executor else run_job(job, progress)
            if not built.intact or built.report.recipe != recipe.digest:
                raise BuildFailed("the executor returned the artifact of another recipe")
            self._store.put(recipe.digest, built)
            return built


def checked(file: File, data: bytes) -> bytes:
    """Return a file's bytes if they have the digest that the model's document states."""
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise BuildFailed(f"{file.name} has the SHA-256 {found}, but the model's document says {file.sha256}")
    return data
