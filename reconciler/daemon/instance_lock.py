# SPDX-License-Identifier: Apache-2.0
"""A lock that allows one daemon per state folder: two would give devices contradictory orders."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from reconciler.errors import Unusable


class AlreadyRunning(Unusable):
    """Another tinyfleet process uses this state folder."""

    reason: ClassVar[str] = "AlreadyRunning"


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Lock a state folder. The kernel releases the lock when the process ends, even if it crashes."""
    with _lock_file(state_dir).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise AlreadyRunning(f"{state_dir} is in use by process {owner}; stop that process first") from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def holder(state_dir: Path) -> int | None:
    """Return the process that holds the lock; None if it is free."""
    try:
        with (state_dir / "daemon.lock").open("r") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = handle.read().strip()
                return int(owner) if owner.isdigit() else 0
    except OSError:
        return None
    return None


def _lock_file(state_dir: Path) -> Path:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = state_dir / "daemon.lock"
        lock.touch(mode=0o644)
    except OSError as error:
        raise Unusable(f"{state_dir} is not writable: {error.strerror}; check its owner and permissions") from error
    return lock
