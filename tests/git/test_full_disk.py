# SPDX-License-Identifier: Apache-2.0
"""A real file system that is full."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept, Unchanged
from reconciler.git.status_writer import Pushed, PushPending, StatusWriter
from tests.git.forge import Forge


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(b"\0" * 4096)
        except OSError:
            return filler


def test_a_full_disk_keeps_the_last_good_commit_and_recovers(
    forge: Forge, disk: Path, remote: Remote, tmp_path: Path
) -> None:
    good = forge.commit({"a.yaml": "a\n"})
    with Mirror(disk / "mirror", remote, GitLimits()) as mirror:
        source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path / "state")
        assert isinstance(source.poll(None), Advanced)
        assert source.poll(good) == Unchanged(good)
        filler = fill(disk)
        forge.commit({"big": random.Random(1).randbytes(50_000).hex()})
        outcome = source.poll(good)
        assert isinstance(outcome, Kept)
        assert (outcome.reason, outcome.commit) == ("DiskFull", good), outcome.message
        with source.tree(good) as tree:
            assert [tree.read(entry) for entry in tree.entries()] == [b"a\n"]
        filler.unlink()
        assert isinstance(source.poll(good), Advanced)


def test_a_status_that_hits_a_full_disk_is_published_later(forge: Forge, disk: Path, remote: Remote) -> None:
    author = CommitAuthor("north", "north@example.org")
    with StatusWriter(disk / "status", remote, "north", author) as status:
        assert isinstance(status.publish({"a": b"1"}, CommitMessage("1", datetime.now(UTC))), Pushed)
        filler = fill(disk)
        message = CommitMessage("2", datetime.now(UTC))
        full = status.publish({"a": b"2"}, message)
        assert isinstance(full, PushPending)
        assert full.reason == "DiskFull", full.message
        filler.unlink()
        assert isinstance(status.publish({"a": b"2"}, message), Pushed)
    assert forge.git("show", "status/north:a", cwd=forge.bare) == "2"
