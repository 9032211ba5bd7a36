# SPDX-License-Identifier: Apache-2.0
"""Parse and check once per blob; a damaged cache costs time and nothing else."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import Transient
from reconciler.load import CheckCache, DirectoryTree, LoadResult, load, schemas
from reconciler.load.document_check import CheckedFile
from reconciler.load.problems import Rule
from reconciler.model import Commit, DeviceId
from reconciler.tree import Entry
from tests.load.repo import Repo


class CountingTree:
    """A directory that remembers what was read of it."""

    def __init__(self, root: Path) -> None:
        self._tree = DirectoryTree(root)
        self.listed = 0
        self.read_paths: list[str] = []

    def entries(self) -> Iterator[Entry]:
        self.listed += 1
        return self._tree.entries()

    def read(self, entry: Entry) -> bytes:
        self.read_paths.append(entry.path)
        return self._tree.read(entry)


def reads(repo: Repo, cache: CheckCache, commit: str) -> tuple[LoadResult, list[str]]:
    tree = CountingTree(repo.root)
    return load(tree, commit=Commit(commit), cache=cache), sorted(tree.read_paths)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "load.sqlite"


def test_one_changed_file_is_the_only_one_read(repo: Repo) -> None:
    cache = CheckCache()
    assert len(reads(repo, cache, "1")[1]) == 7
    repo.append("devices.yaml", repo.device("pump-3"))
    loaded, read = reads(repo, cache, "2")
    assert read == ["devices.yaml"]
    assert loaded.desired is not None
    assert DeviceId("pump-3") in loaded.desired.devices
    assert loaded.desired.commit == "2"


def test_an_unchanged_commit_is_not_even_listed(repo: Repo) -> None:
    cache = CheckCache()
    first, _ = reads(repo, cache, "1")
    tree = CountingTree(repo.root)
    assert load(tree, commit=Commit("1"), cache=cache) is first
    assert tree.listed == 0


def test_without_a_commit_nothing_counts_as_known(repo: Repo) -> None:
    cache = CheckCache()
    reads(repo, cache, "")
    repo.append("devices.yaml", repo.device("pump-3"))
    assert reads(repo, cache, "")[1] == ["devices.yaml"]


def test_a_moved_file_is_not_read_again_and_its_problems_move_with_it(repo: Repo) -> None:
    cache = CheckCache()
    repo.write("z.yaml", "a: on\n")
    reads(repo, cache, "1")
    (repo.root / "z.yaml").rename(repo.root / "y.yaml")
    loaded, read = reads(repo, cache, "2")
    assert read == []
    assert {problem.path for problem in loaded.problems} == {"y.yaml"}


def test_a_new_process_reads_nothing_again(repo: Repo, path: Path) -> None:
    repo.write("warned.yaml", repo.document("Gateway", "yard", "spec:\n  selector: {matchLabels: {site: moon}}\n"))
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert second == first
    assert read == ["warned.yaml"]  # only to find the line of the warning


def test_problems_are_kept_too(repo: Repo, path: Path) -> None:
    repo.write("spoiled.yaml", "a: on\n--- \nkind: Devic\n---\n- x\n---\n" + repo.device("Not_A_Name"))
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert (second, read) == (first, [])
    assert len(second.errors) > 3


def stored(path: Path) -> list[tuple[str, bytes, bytes]]:
    with sqlite3.connect(path) as disk:
        return disk.execute("SELECT key, body, sha256 FROM found").fetchall()


def test_a_flipped_byte_in_each_row_is_a_miss_and_is_mended(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with sqlite3.connect(path) as disk:
        for key, body, _ in stored(path):
            spoiled = bytearray(body)
            spoiled[len(body) // 2] ^= 1
            disk.execute("UPDATE found SET body = ? WHERE key = ?", (bytes(spoiled), key))
    disk.close()
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert second == first
    assert len(read) == 7
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[1] == []


def test_a_row_under_another_blobs_name_is_a_miss(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    rows = stored(path)
    with sqlite3.connect(path) as disk:
        for (key, _, _), (_, body, seal) in zip(rows, [*rows[1:], rows[0]], strict=True):
            disk.execute("UPDATE found SET body = ?, sha256 = ? WHERE key = ?", (body, seal, key))
    disk.close()
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1") == (first, reads(repo, CheckCache(), "1")[1])


def spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "empty":
        data.clear()
    elif how == "text":
        data = bytearray(b"this is no database\n" * 100)
    elif how == "cut":
        del data[len(data) // 2 :]
    else:
        chance = random.Random(how)
        for at in range(0, len(data), 7):
            data[at] = chance.randrange(256)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["empty", "text", "cut", "noise 1", "noise 2", "noise 3"])
def test_a_damaged_file_is_thrown_away(how: str, repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    spoil(path, how)
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first


def test_a_file_of_which_only_the_header_is_left(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    header = 100
    data = bytearray(path.read_bytes())
    data[header:] = bytes(len(data) - header)
    path.write_bytes(data)
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first


def test_a_cache_that_cannot_be_written_is_done_without(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with CheckCache(tmp_path / "file" / "load.sqlite") as cache:
        assert reads(repo, cache, "1")[0].problems == ()


def test_a_cache_that_another_process_holds_is_done_without(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with CheckCache(path, wait_s=0.05) as cache:
        repo.append("devices.yaml", repo.device("pump-3"))
        loaded, _ = reads(repo, cache, "2")
    holder.close()
    assert loaded.desired is not None
    assert first.desired is not None
    assert len(loaded.desired.devices) == len(first.desired.devices) + 1


def test_what_was_checked_against_other_schemas_is_checked_again(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        reads(repo, cache, "1")
    with sqlite3.connect(path) as disk:
        disk.execute("UPDATE found SET key = replace(key, ?, 'other')", (schemas.version()[:16],))
    disk.close()
    with CheckCache(path) as cache:
        assert len(reads(repo, cache, "1")[1]) == 7


def test_the_file_does_not_grow_for_ever(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        for number in range(1100):
            cache.remember_checked(f"{number:040x}", *empty())
        reads(repo, cache, "1")
    assert len(stored(path)) == 7


def empty() -> tuple[CheckedFile, list[object]]:
    return CheckedFile(), []


def test_memory_keeps_only_what_the_last_commit_has(repo: Repo) -> None:
    cache = CheckCache()
    reads(repo, cache, "1")
    before = repo.root / "devices.yaml"
    text = before.read_text()
    repo.append("devices.yaml", repo.device("pump-3"))
    reads(repo, cache, "2")
    before.write_text(text)
    assert reads(repo, cache, "3")[1] == ["devices.yaml"]


def test_a_model_file_is_hashed_once(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        reads(repo, cache, "1")
    repo.write("models/vibration.yaml", repo.model("vibration", "1.0.0", sha256="0" * 64))
    with CheckCache(path) as cache:
        loaded, read = reads(repo, cache, "2")
    assert "models/vibration.tflite" not in read
    assert [problem.rule for problem in loaded.problems] == [Rule.SHA256]


class Away(Transient):
    """The source failed half-way."""


class FailingTree(CountingTree):
    def read(self, entry: Entry) -> bytes:
        if len(self.read_paths) == 3:
            raise Away("gone")
        return super().read(entry)


def test_what_was_found_out_before_the_source_failed_is_kept(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache, pytest.raises(Away):
        load(FailingTree(repo.root), commit=Commit("1"), cache=cache)
    with CheckCache(path) as cache:
        assert len(reads(repo, cache, "1")[1]) == 4
