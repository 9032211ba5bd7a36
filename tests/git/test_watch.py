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


def test_a_push_wakes(forge: Forge) -> None:
    forge.commit()
    forge.commit(push=False)
    woken = threading.Event()
    with LocalWatch(forge.bare, woken.set):
        forge.push()
        assert woken.wait(60)


def test_a_new_branch_in_a_folder_and_packed_refs_wake(forge: Forge) -> None:
    forge.commit()
    woken = threading.Event()
    with LocalWatch(forge.bare, woken.set):
        forge.git("push", "--quiet", "origin", "HEAD:refs/heads/team/a")
        assert woken.wait(60)
        woken.clear()
        forge.git("pack-refs", "--all", cwd=forge.bare)
        assert woken.wait(60)


def test_our_own_poll_does_not_wake(forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    """Reading is not a change; or each poll would bring on the next."""
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


def test_a_work_tree_is_watched_where_its_refs_are(forge: Forge) -> None:
    woken = threading.Event()
    with LocalWatch(forge.work, woken.set):
        forge.commit(push=False)
        assert woken.wait(60)


def test_no_repository_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(WatchUnavailable, match="no Git repository"):
        LocalWatch(tmp_path, lambda: None)
