# SPDX-License-Identifier: Apache-2.0
"""The files of a commit, without a work tree."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedRepo
from reconciler.git.errors import MirrorDamaged, SettingsUnsafe, SubPathMissing
from reconciler.git.mirror import Mirror
from reconciler.model import Commit
from reconciler.tree import EXECUTABLE, FILE, SUBMODULE, SYMLINK, Tree
from tests.git.forge import Forge


def test_entries_and_bytes_of_a_commit(forge: Forge, mirror: Mirror) -> None:
    (forge.work / "run.sh").write_text("#!/bin/sh\n")
    (forge.work / "run.sh").chmod(0o755)
    (forge.work / "raw.bin").write_bytes(bytes(range(256)))
    (forge.work / "link").symlink_to("/etc/passwd")
    forge.commit({"a/b.yaml": "b\r\n", "ä/ö.yaml": "umlaut\n", "new\nline": "odd\n"})
    with mirror.tree(mirror.fetch()) as tree:
        protocol: Tree = tree
        found = {entry.path: (entry.mode, entry.size, protocol.read(entry)) for entry in protocol.entries()}
    assert found == {
        "run.sh": (EXECUTABLE, 10, b"#!/bin/sh\n"),
        "raw.bin": (FILE, 256, bytes(range(256))),
        "link": (SYMLINK, 11, b"/etc/passwd"),
        "a/b.yaml": (FILE, 3, b"b\r\n"),
        "ä/ö.yaml": (FILE, 7, b"umlaut\n"),
        "new\nline": (FILE, 4, b"odd\n"),
    }


def test_a_sub_path_limits_the_tree(forge: Forge, mirror: Mirror) -> None:
    forge.commit({"sites/north/a.yaml": "a\n", "sites/south/b.yaml": "b\n", "file": "f\n"})
    head = mirror.fetch()
    for spelled in ("sites/north", "/sites/north/"):
        with mirror.tree(head, spelled) as tree:
            assert [entry.path for entry in tree.entries()] == ["a.yaml"]
    for missing in ("sites/west", "file"):
        with mirror.tree(head, missing) as tree, pytest.raises(SubPathMissing, match=head[:12]):
            tree.entries()


def test_a_sub_path_that_is_a_link_is_not_followed(forge: Forge, mirror: Mirror) -> None:
    (forge.work / "fleet").symlink_to("elsewhere")
    forge.commit({"elsewhere/a.yaml": "a\n"})
    with mirror.tree(mirror.fetch(), "fleet") as tree, pytest.raises(SubPathMissing):
        tree.entries()


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", ".git", "a/.GIT/b", "a\nb", "./a"])
def test_sub_paths_out_of_the_repository_are_refused(path: str, mirror: Mirror) -> None:
    with pytest.raises(SettingsUnsafe):
        mirror.tree(Commit("1" * 40), path)


def test_names_that_are_not_utf8_keep_their_bytes(forge: Forge, mirror: Mirror) -> None:
    blob = forge.git("hash-object", "-w", "--stdin", data=b"x\n")
    listed = b"100644 blob " + blob.encode() + b"\tcaf\xe9.yaml\0"
    tree_id = forge.git("mktree", "-z", data=listed)
    forge.git("reset", "--quiet", "--hard", forge.git("commit-tree", "-m", "latin-1", tree_id))
    forge.push()
    with mirror.tree(mirror.fetch()) as tree:
        (entry,) = tree.entries()
        assert entry.path.encode("utf-8", "surrogateescape") == b"caf\xe9.yaml"
        assert tree.read(entry) == b"x\n"


def test_a_submodule_is_listed_and_never_entered(forge: Forge, mirror: Mirror) -> None:
    commit = forge.commit()
    forge.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor")
    forge.git("commit", "--quiet", "-m", "submodule")
    forge.push()
    with mirror.tree(mirror.fetch()) as tree:
        entry = next(entry for entry in tree.entries() if entry.path == "vendor")
        assert (entry.mode, entry.size, tree.read(entry)) == (SUBMODULE, 0, b"")


def test_large_and_many_files_are_read_completely(forge: Forge, mirror: Mirror) -> None:
    """More data than a pipe buffer holds, in both directions."""
    big = "0123456789abcdef" * 100_000
    forge.commit({"big": big, **{f"d/{number}.yaml": f"n: {number}\n" for number in range(1_500)}})
    with mirror.tree(mirror.fetch()) as tree:
        data = {entry.path: tree.read(entry) for entry in tree.entries()}
    assert hashlib.sha256(data["big"]).digest() == hashlib.sha256(big.encode()).digest()
    assert all(data[f"d/{number}.yaml"] == b"n: %d\n" % number for number in range(1_500))


def test_a_missing_commit_is_damage(forge: Forge, mirror: Mirror) -> None:
    forge.commit()
    mirror.fetch()
    with mirror.tree(Commit("1" * 40)) as tree, pytest.raises(MirrorDamaged):
        tree.entries()


def test_a_missing_object_is_damage_and_others_stay_readable(forge: Forge, mirror: Mirror) -> None:
    forge.commit({"a.yaml": "a\n"})
    with mirror.tree(mirror.fetch()) as tree:
        (entry,) = tree.entries()
        with pytest.raises(MirrorDamaged, match=r"a\.yaml"):
            tree.read(dataclasses.replace(entry, blob="1" * 40))
        assert tree.read(entry) == b"a\n"


def test_an_operators_own_repository_is_read_without_a_mirror(forge: Forge) -> None:
    head = forge.commit({"a/b.yaml": "b\n"})
    with ConfinedRepo.at(forge.work / "a", search=True) as repo, CommitTree(repo.git, head) as tree:
        assert [(entry.path, tree.read(entry)) for entry in tree.entries()] == [("a/b.yaml", b"b\n")]


def test_the_callers_git_environment_changes_nothing(
    forge: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the command ran from a hook."""
    head = forge.commit()
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert mirror.fetch() == head
    with mirror.tree(head) as tree:
        assert len(tree.entries()) == 1
