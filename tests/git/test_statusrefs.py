# SPDX-License-Identifier: Apache-2.0
"""Status branches as others read them: which count, what their files were, and what git's own limits mean."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from reconciler.git import errors
from reconciler.git.confined_git import ConfinedGit, GitResult
from reconciler.git.error_messages import meaning
from reconciler.git.errors import MirrorBusy, MirrorDamaged
from reconciler.git.mirror_lock import MirrorLock
from reconciler.git.status_reader import files_at, status_branches, versions_of
from tests.review.changes import Works, works

LIMIT_S = 20.0


@pytest.fixture
def fleet(tmp_path: Path) -> Works:
    made = works(tmp_path)
    made.commit({"fleet.yaml": "x"}, "The fleet")
    return made


def runner(path: Path) -> ConfinedGit:
    git = ConfinedGit(path)
    git.confine(path.absolute() / ".git")
    return git


def test_of_a_branch_here_and_at_the_remote_the_newest_word_counts(fleet: Works) -> None:
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


def test_branches_that_are_no_status_of_a_gateway_are_passed_over(fleet: Works) -> None:
    fleet.status({"README.md": b"x"})
    blob = fleet.git("hash-object", "-w", "--stdin", data=b"no commit")
    fleet.git("update-ref", "refs/heads/status/yard/north", "HEAD")
    (fleet.path / ".git" / "refs" / "heads" / "status" / "blob").write_text(blob + "\n")
    assert set(status_branches(runner(fleet.path), limit_s=LIMIT_S)) == {"hall"}


def test_versions_of_a_file_that_was_away_for_a_while(fleet: Works) -> None:
    fleet.status({"rollouts/wear.yaml": b"first"})
    fleet.status({"rollouts/other.yaml": b"beside"})
    tip = fleet.git("rev-parse", "status/hall")
    gone = f"commit refs/heads/status/hall\ncommitter g <g@example.org> {fleet.clock + 1} +0000\ndata 4\nGone\n"
    fleet.git("fast-import", "--quiet", data=f"{gone}from {tip}\nD rollouts/wear.yaml\n".encode())
    fleet.clock += 2
    fleet.status({"rollouts/wear.yaml": b"again"})
    tip = fleet.git("rev-parse", "status/hall")
    git = runner(fleet.path)
    found = versions_of(git, tip, "rollouts/wear.yaml", most=10, limit_s=LIMIT_S)  # type: ignore[arg-type]  # a commit's id
    assert [data for _, data in found] == [b"again", b"first"]
    assert versions_of(git, tip, "rollouts/none.yaml", most=10, limit_s=LIMIT_S) == []  # type: ignore[arg-type]  # as above
    assert files_at(git, tip, limit_s=LIMIT_S, below="rollouts") == {  # type: ignore[arg-type]  # as above
        "rollouts/other.yaml": b"beside",
        "rollouts/wear.yaml": b"again",
    }
    assert files_at(git, tip, limit_s=LIMIT_S, below="nothing") == {}  # type: ignore[arg-type]  # as above


def test_a_blob_that_is_gone_is_damage(fleet: Works) -> None:
    fleet.status({"README.md": b"to be lost"})
    tip = fleet.git("rev-parse", "status/hall")
    blob = fleet.git("rev-parse", f"{tip}:README.md")
    for pack in (fleet.path / ".git" / "objects" / "pack").glob("*.pack"):
        data = pack.read_bytes()
        for beside in pack.parent.glob(pack.stem + ".*"):
            beside.unlink()
        fleet.git("unpack-objects", "-q", data=data)
    (fleet.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(MirrorDamaged, match=r"README\.md of commit .* can't be read"):
        files_at(runner(fleet.path), tip, limit_s=LIMIT_S)  # type: ignore[arg-type]  # as above


def test_a_transfer_that_git_was_not_allowed_to_write() -> None:
    found = meaning(GitResult(-signal.SIGXFSZ, b"", ""), "fetching", limit_s=10)
    assert isinstance(found, errors.TransferTooLarge)
    assert str(found) == "fetching: more than the limit allows"


def test_a_mirror_is_held_by_one_thread_and_what_a_killed_one_left_is_taken_away(tmp_path: Path) -> None:
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
