# SPDX-License-Identifier: Apache-2.0
"""Reading status branches: which ones count, the versions of their files, and limits of git."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from reconciler.git import errors
from reconciler.git.confined_git import ConfinedGit, GitResult
from reconciler.git.error_messages import failure_of
from reconciler.git.errors import MirrorBusy, MirrorDamaged
from reconciler.git.mirror_lock import MirrorLock
from reconciler.git.status_reader import files_at, status_branches, versions_of
from tests.review.changes import FleetHistory, fleet_history

LIMIT_S = 20.0


@pytest.fixture
def fleet(tmp_path: Path) -> FleetHistory:
    made = fleet_history(tmp_path)
    made.commit({"fleet.yaml": "x"}, "The fleet")
    return made


def runner(path: Path) -> ConfinedGit:
    git = ConfinedGit(path)
    git.confine(path.absolute() / ".git")
    return git


def test_of_a_local_and_a_remote_branch_the_newest_wins(fleet: FleetHistory) -> None:
    fleet.status({"README.md": b"old"})
    old = fleet.git("rev-parse", "status/hall")
    fleet.status({"README.md": b"new"})
    new = fleet.git("rev-parse", "status/hall")
    for ours, theirs in ((old, new), (new, old)):
        fleet.git("update-ref", "refs/heads/status/hall", ours)
        fleet.git("update-ref", "refs/remotes/origin/status/hall", theirs)
        assert {name: each.commit for name, each in status_branches(runner(fleet.path), limit_s=LIMIT_S).items()} == {
            "hall": new
        }


def test_other_branches_are_skipped(fleet: FleetHistory) -> None:
    fleet.status({"README.md": b"x"})
    blob = fleet.git("hash-object", "-w", "--stdin", data=b"no commit")
    fleet.git("update-ref", "refs/heads/status/yard/north", "HEAD")
    (fleet.path / ".git" / "refs" / "heads" / "status" / "blob").write_text(blob + "\n")
    assert set(status_branches(runner(fleet.path), limit_s=LIMIT_S)) == {"hall"}


def test_versions_of_a_file_that_was_deleted_and_restored(fleet: FleetHistory) -> None:
    fleet.status({"rollouts/wear.yaml": b"first"})
    fleet.status({"rollouts/other.yaml": b"other"})
    tip = fleet.git("rev-parse", "status/hall")
    gone = f"commit refs/heads/status/hall\ncommitter g <g@example.org> {fleet.clock + 1} +0000\ndata 4\nGone\n"
    fleet.git("fast-import", "--quiet", data=f"{gone}from {tip}\nD rollouts/wear.yaml\n".encode())
    fleet.clock += 2
    fleet.status({"rollouts/wear.yaml": b"again"})
    tip = fleet.git("rev-parse", "status/hall")
    git = runner(fleet.path)
    found = versions_of(git, tip, "rollouts/wear.yaml", limit=10, limit_s=LIMIT_S)  # type: ignore[arg-type]  # a commit's id
    assert [data for _, data in found] == [b"again", b"first"]
    assert versions_of(git, tip, "rollouts/none.yaml", limit=10, limit_s=LIMIT_S) == []  # type: ignore[arg-type]  # as above
    assert files_at(git, tip, limit_s=LIMIT_S, below="rollouts") == {  # type: ignore[arg-type]  # as above
        "rollouts/other.yaml": b"other",
        "rollouts/wear.yaml": b"again",
    }
    assert files_at(git, tip, limit_s=LIMIT_S, below="nothing") == {}  # type: ignore[arg-type]  # as above


def test_a_missing_blob_is_damage(fleet: FleetHistory) -> None:
    fleet.status({"README.md": b"to be lost"})
    tip = fleet.git("rev-parse", "status/hall")
    blob = fleet.git("rev-parse", f"{tip}:README.md")
    for pack in (fleet.path / ".git" / "objects" / "pack").glob("*.pack"):
        data = pack.read_bytes()
        for sibling in pack.parent.glob(pack.stem + ".*"):
            sibling.unlink()
        fleet.git("unpack-objects", "-q", data=data)
    (fleet.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(MirrorDamaged, match=r"cannot read README\.md of commit"):
        files_at(runner(fleet.path), tip, limit_s=LIMIT_S)  # type: ignore[arg-type]  # as above


def test_a_transfer_over_the_file_size_limit_has_its_own_reason() -> None:
    found = failure_of(GitResult(-signal.SIGXFSZ, b"", ""), "fetching", limit_s=10)
    assert isinstance(found, errors.TransferTooLarge)
    assert str(found) == "fetching: the transfer exceeds the size limit"


def test_a_mirror_has_one_writer_and_leftovers_are_removed(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.git"
    (mirror / "objects" / "pack").mkdir(parents=True)
    exclusive = MirrorLock(mirror)
    held, done = threading.Event(), threading.Event()

    def holds() -> None:
        with exclusive.hold(5.0):
            held.set()
            done.wait(10)

    other = threading.Thread(target=holds)
    other.start()
    assert held.wait(10)
    with pytest.raises(MirrorBusy, match="longer than a transfer may take"), exclusive.hold(0.05):
        pass
    done.set()
    other.join()
    left = [mirror / "objects" / "tmp_objdir-1", mirror / "config.lock"]
    left[0].mkdir()
    left[1].touch()
    with exclusive.hold(5.0):
        assert [path for path in left if path.exists()] == []
