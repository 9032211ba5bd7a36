# SPDX-License-Identifier: Apache-2.0
"""Wakes the engine when someone pushes to a repository on this machine.

A wake-up is only a hint. The poll finds out what changed, and works without the watch as well.
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

# Reading causes events too, and our own poll reads. Only these events mean that a ref moved.
_CHANGES = (FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent)


class LocalWatch:
    """Calls `wake` when a branch or tag of the repository moves. `wake` runs in the observer's thread."""

    def __init__(self, repository: Path, wake: Callable[[], None]) -> None:
        git_dir = _git_dir(repository)
        handler = _RefMoved(git_dir, wake)
        self._observer = Observer()
        try:
            # The folder itself for packed-refs; `refs` recursively for branches and tags.
            self._observer.schedule(handler, str(git_dir), recursive=False, event_filter=list(_CHANGES))
            self._observer.schedule(handler, str(git_dir / "refs"), recursive=True, event_filter=list(_CHANGES))
            self._observer.start()
        except OSError as problem:
            self._observer.unschedule_all()
            raise WatchUnavailable(f"cannot watch {repository}: {problem.strerror}") from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. After this returns, `wake` is not called again."""
        self._observer.stop()
        self._observer.join()


class _RefMoved(FileSystemEventHandler):
    def __init__(self, git_dir: Path, wake: Callable[[], None]) -> None:
        self._packed = git_dir / "packed-refs"
        self._refs = git_dir / "refs"
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Git updates a ref by renaming a lock file over it.
        paths = [Path(os.fsdecode(name)) for name in (event.src_path, event.dest_path) if name]
        if any(path.suffix != ".lock" and (path == self._packed or self._refs in path.parents) for path in paths):
            self._wake()


def _git_dir(repository: Path) -> Path:
    try:
        with ConfinedRepo.at(repository) as repo:
            return Path(repo.common_dir).resolve()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as problem:
        raise WatchUnavailable(f"{repository} is not a Git repository") from problem
