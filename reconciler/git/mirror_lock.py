# SPDX-License-Identifier: Apache-2.0
"""One writer at a time for a mirror, and no lock file of a killed git that stays for ever."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from reconciler.git.errors import MirrorBusy, MirrorUnwritable

# What a git that was killed leaves behind. The lock files would refuse every later fetch.
_LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/tmp_objdir-*", "fast_import_crash_*")


class MirrorLock:
    """Holds a mirror against other threads (they wait) and other processes (they are told to come again)."""

    def __init__(self, mirror: Path) -> None:
        self._mirror = mirror
        self._threads = threading.Lock()

    @contextlib.contextmanager
    def hold(self, limit_s: float) -> Iterator[None]:
        """Hold the mirror for one change."""
        if not self._threads.acquire(timeout=limit_s):
            raise MirrorBusy("the mirror is in use for longer than a transfer may take", retry_after_s=5.0)
        try:
            with self._against_processes():
                self._remove_leftovers()
                yield
        finally:
            self._threads.release()

    @contextlib.contextmanager
    def _against_processes(self) -> Iterator[None]:
        # The kernel lets go of it when the holder dies: it can't become stale.
        lock = self._mirror.with_name(self._mirror.name + ".lock")
        try:
            handle = lock.open("w")
        except OSError as problem:
            raise MirrorUnwritable(f"{lock} can't be written: {problem.strerror}") from problem
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MirrorBusy("another process uses the mirror", retry_after_s=2.0) from None
            yield

    def _remove_leftovers(self) -> None:
        for pattern in _LEFTOVERS:
            for leftover in self._mirror.glob(pattern):
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)
