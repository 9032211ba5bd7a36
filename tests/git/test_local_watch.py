# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

import pytest

from reconciler.git.errors import WatchUnavailable
from reconciler.git.local_watch import LocalWatch
from reconciler.git.mirror import Mirror
from tests.git.forge import Forge


def test_a_push_wakes_the_engine(forge: Forge) -> None:
    forge.commit()
    forge.commit(push=False)
    woken = threading.Event()
    with LocalWatch(forge.bare, woken.set):
        forge.push()
        assert woken.wait(60)


def test_nested_branches_and_packed_refs_wake_the_engine(forge: Forge) -> None:
    forge.commit()
    woken = threading.Event()
    with LocalWatch(forge.bare, woken.set):
        forge.git("push", "--quiet", "origin", "HEAD:refs/heads/team/a")
        assert woken.wait(60)
        woken.clear()
        forge.git("pack-refs", "--all", cwd=forge.bare)
        assert woken.wait(60)


def test_polling_does_not_wake_the_engine(forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    """Otherwise each poll would trigger the next."""
    forge.commit()
    wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
    marker = tmp_path / "marker"
    marker.touch()
    with LocalWatch(forge.bare, lambda: wakes.put(None)):
        mirror.fetch()
        mirror.tip()
        # Events of one folder come in order and a hard link is exactly one: after these two, all have come.
        os.link(marker, forge.bare / "packed-refs")
        os.link(marker, forge.bare / "refs" / "heads" / "marker")
        wakes.get(timeout=60)
        wakes.get(timeout=60)
    assert wakes.empty()


def test_the_refs_of_a_work_tree_are_watched(forge: Forge) -> None:
    woken = threading.Event()
    with LocalWatch(forge.work, woken.set):
        forge.commit(push=False)
        assert woken.wait(60)


def test_a_folder_without_a_repository_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WatchUnavailable, match="not a Git repository"):
        LocalWatch(tmp_path, lambda: None)
