# SPDX-License-Identifier: Apache-2.0
"""A lock that allows one daemon per state folder: two would give devices contradictory orders.

The folder itself is locked, because a file in it could be deleted and made again while its lock is held. The file
`daemon.lock` only says who holds the lock.
"""

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


OWNER = "daemon.lock"


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Lock a state folder. The kernel releases the lock when the process ends, even if it crashes."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"{state_dir} is not usable: {error.strerror}; check its owner and permissions") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(state_dir) or "unknown"
            raise AlreadyRunning(f"{state_dir} is in use by process {owner}; stop that process first") from None
        try:
            (state_dir / OWNER).write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise Unusable(f"{state_dir} is not writable: {error.strerror}; check its owner and permissions") from error
        yield
    finally:
        os.close(folder)


def holder(state_dir: Path) -> int | None:
    """Return the process that holds the lock, 0 if it is unknown; None if the lock is free."""
    try:
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _owner(state_dir)
        return int(owner) if owner.isdigit() else 0
    finally:
        os.close(folder)
    return None


def _owner(state_dir: Path) -> str:
    try:
        return (state_dir / OWNER).read_text().strip()
    except OSError:
        return ""
