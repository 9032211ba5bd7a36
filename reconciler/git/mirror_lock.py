# SPDX-License-Identifier: Apache-2.0
"""Allows one writer of a mirror at a time, and removes the lock files of a killed git."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import failure_of_system
from reconciler.git.errors import MirrorBusy, MirrorUnwritable

# What a killed git leaves behind. Its lock files would make every later fetch fail.
_LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/tmp_objdir-*", "fast_import_crash_*")


class MirrorLock:
    """Excludes other threads, which wait, and other processes, which get `MirrorBusy` and retry."""

    def __init__(self, mirror: Path) -> None:
        self._mirror = mirror
        self._threads = threading.Lock()

    @contextlib.contextmanager
    def hold(self, limit_s: float) -> Iterator[None]:
        """Hold the mirror for one change."""
        if not self._threads.acquire(timeout=limit_s):
            raise MirrorBusy(
                "another thread has used the mirror for longer than a transfer may take", retry_after_s=5.0
            )
        try:
            with self._against_processes():
                self._remove_leftovers()
                yield
        finally:
            self._threads.release()

    @contextlib.contextmanager
    def _against_processes(self) -> Iterator[None]:
        # The kernel releases it when the holder dies, so it cannot become stale.
        lock = self._mirror.with_name(self._mirror.name + ".lock")
        try:
            handle = lock.open("w")
        except OSError as problem:
            raise failure_of_system(problem, f"cannot write {lock}", MirrorUnwritable) from problem
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MirrorBusy("another process is using the mirror", retry_after_s=2.0) from None
            yield

    def _remove_leftovers(self) -> None:
        for pattern in _LEFTOVERS:
            for leftover in self._mirror.glob(pattern):
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)
