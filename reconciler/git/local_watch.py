# SPDX-License-Identifier: Apache-2.0
"""Wakes the engine when somebody pushes to a repository on this machine.

A hint, never the truth: the poll looks what is there, and goes on without the watch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import git
from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from reconciler.git.confined_git import ConfinedRepo
from reconciler.git.errors import WatchUnavailable

# Reading is an event too, and our own poll reads: only these mean that a ref moved.
_CHANGES = (FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent)


class LocalWatch:
    """Calls `wake` from a thread of its own whenever a branch or tag of the repository moved."""

    def __init__(self, repository: Path, wake: Callable[[], None]) -> None:
        git_dir = _git_dir(repository)
        handler = _RefMoved(git_dir, wake)
        self._observer = Observer()
        try:
            # The folder itself for packed-refs; `refs` with all below for branches and tags.
            self._observer.schedule(handler, str(git_dir), recursive=False, event_filter=list(_CHANGES))
            self._observer.schedule(handler, str(git_dir / "refs"), recursive=True, event_filter=list(_CHANGES))
            self._observer.start()
        except OSError as problem:
            self._observer.unschedule_all()
            raise WatchUnavailable(f"{repository} can't be watched: {problem.strerror}") from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching; `wake` is not called any more once this returns."""
        self._observer.stop()
        self._observer.join()


class _RefMoved(FileSystemEventHandler):
    def __init__(self, git_dir: Path, wake: Callable[[], None]) -> None:
        self._packed = git_dir / "packed-refs"
        self._refs = git_dir / "refs"
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        # A ref is written as a lock file that is renamed over it.
        paths = [Path(os.fsdecode(name)) for name in (event.src_path, event.dest_path) if name]
        if any(path.suffix != ".lock" and (path == self._packed or self._refs in path.parents) for path in paths):
            self._wake()


def _git_dir(repository: Path) -> Path:
    try:
        with ConfinedRepo.at(repository) as repo:
            return Path(repo.common_dir).resolve()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as problem:
        raise WatchUnavailable(f"{repository} is no Git repository") from problem
