# SPDX-License-Identifier: Apache-2.0
"""A proposal is a commit on its own branch, and does not disturb the work of the person who made it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.git.proposal import ProposalFailed, ProposalRepository


class Desk:
    """A person's clone of a fleet repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("init", "-q", "-b", "main")
        self.run("config", "user.name", "someone")
        self.run("config", "user.email", "someone@plant")
        self.write("fleet/a.yaml", "a: 1\n")
        self.write("fleet/b.yaml", "b: 1\n")
        (folder / "fleet" / "a.yaml").chmod(0o755)
        self.run("add", "-A")
        self.run("commit", "-q", "-m", "first")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    return Desk(tmp_path)


def test_a_proposal_is_one_commit_on_its_own_branch(desk: Desk) -> None:
    workshop = ProposalRepository(desk.folder / "fleet")
    assert workshop.read_committed("a.yaml") == b"a: 1\n"
    made = workshop.propose("provision/pump-1", "its key", {"a.yaml": b"a: 2\r\n"})
    assert desk.run("rev-parse", "provision/pump-1") == made
    assert desk.run("rev-parse", f"{made}^") == desk.run("rev-parse", "main")
    assert desk.run("show", "--format=%an %s", "--stat", "--summary", made).splitlines()[0] == "someone its key"
    assert desk.run("diff", "--raw", "main", made).startswith(":100755 100755 ")
    assert desk.run("diff", "--name-only", "main", made) == "fleet/a.yaml"
    shown = subprocess.run(["git", "show", f"{made}:fleet/a.yaml"], cwd=desk.folder, check=True, capture_output=True)
    assert shown.stdout == b"a: 2\r\n"


def test_index_and_work_tree_are_not_touched(desk: Desk) -> None:
    desk.write("fleet/a.yaml", "a: 3\n")
    desk.run("add", "fleet/a.yaml")
    desk.write("fleet/b.yaml", "b: 3\n")
    before = desk.run("status", "--porcelain=v2", "--branch")
    made = ProposalRepository(desk.folder).propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 2\n"})
    assert desk.run("status", "--porcelain=v2", "--branch") == before
    assert desk.run("diff", "--name-only", "main", made) == "fleet/a.yaml"
    assert desk.run("show", f"{made}:fleet/b.yaml") == "b: 1"


def test_a_second_proposal_replaces_the_first(desk: Desk) -> None:
    workshop = ProposalRepository(desk.folder)
    first = workshop.propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 2\n"})
    second = workshop.propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 3\n"})
    assert first != second == desk.run("rev-parse", "provision/pump-1")
    assert desk.run("rev-parse", f"{second}^") == desk.run("rev-parse", "main")


def test_a_proposal_is_signed_if_its_author_signs(desk: Desk) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", desk.folder / "key"], check=True)
    for name, value in (
        ("gpg.format", "ssh"),
        ("user.signingkey", str(desk.folder / "key")),
        ("commit.gpgsign", "true"),
    ):
        desk.run("config", name, value)
    made = ProposalRepository(desk.folder).propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 2\n"})
    assert "gpgsig -----BEGIN SSH SIGNATURE-----" in desk.run("cat-file", "commit", made)
    desk.run("config", "user.signingkey", str(desk.folder / "none"))
    with pytest.raises(ProposalFailed, match="provision/pump-1: "):
        ProposalRepository(desk.folder).propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 3\n"})
    assert desk.run("rev-parse", "provision/pump-1") == made


def test_a_branch_that_is_checked_out_is_not_moved(desk: Desk) -> None:
    desk.run("checkout", "-q", "-b", "provision/pump-1")
    with pytest.raises(ProposalFailed, match="is checked out"):
        ProposalRepository(desk.folder).propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 2\n"})
    desk.run("checkout", "-q", "--detach")
    assert ProposalRepository(desk.folder).propose("provision/pump-1", "its key", {"fleet/a.yaml": b"a: 2\n"})


def test_a_folder_without_a_usable_repository_is_refused(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(ProposalFailed, match="not in a Git repository"):
        ProposalRepository(elsewhere)
    subprocess.run(["git", "init", "-q", "--bare", elsewhere], check=True)
    with pytest.raises(ProposalFailed, match="bare Git repository"):
        ProposalRepository(elsewhere)
    with pytest.raises(ProposalFailed, match="is not committed yet"):
        ProposalRepository(desk.folder).read_committed("fleet/c.yaml")
