# SPDX-License-Identifier: Apache-2.0
"""One daemon per state folder: two would give each device contradicting orders."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from reconciler.errors import Unusable


class AlreadyRunning(Unusable):
    """Another tinyfleet works with this state folder."""

    reason: ClassVar[str] = "AlreadyRunning"


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Hold a state folder; the kernel lets go of it when the process ends, however it ends."""
    with _opened(state_dir).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise AlreadyRunning(f"{state_dir} is in use by process {owner}; stop that one first") from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def holder(state_dir: Path) -> int | None:
    """Return the process that holds a state folder; None: nobody does."""
    try:
        with (state_dir / "daemon.lock").open("r") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                said = handle.read().strip()
                return int(said) if said.isdigit() else 0
    except OSError:
        return None
    return None


def _opened(state_dir: Path) -> Path:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = state_dir / "daemon.lock"
        lock.touch(mode=0o644)
    except OSError as error:
        raise Unusable(f"{state_dir} can't be written: {error.strerror}; check its owner and permissions") from error
    return lock
