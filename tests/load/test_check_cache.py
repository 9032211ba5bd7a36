# SPDX-License-Identifier: Apache-2.0
"""Each blob is checked once. A damaged cache costs time and nothing else."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import Transient
from reconciler.load import CheckCache, DirectoryTree, LoadResult, load, schemas
from reconciler.load.document_check import CheckedFile
from reconciler.model import Commit, DeviceId
from reconciler.tree import TreeEntry
from reconciler.validation.problems import Rule
from tests.load.repo import Repo


class CountingTree:
    """A directory that records which files were read."""

    def __init__(self, root: Path) -> None:
        self._tree = DirectoryTree(root)
        self.listed = 0
        self.read_paths: list[str] = []

    def entries(self) -> Iterator[TreeEntry]:
        self.listed += 1
        return self._tree.entries()

    def read(self, entry: TreeEntry) -> bytes:
        self.read_paths.append(entry.path)
        return self._tree.read(entry)


def reads(repo: Repo, cache: CheckCache, commit: str) -> tuple[LoadResult, list[str]]:
    tree = CountingTree(repo.root)
    return load(tree, commit=Commit(commit), cache=cache), sorted(tree.read_paths)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "load.sqlite"


def test_only_a_changed_file_is_read(repo: Repo) -> None:
    cache = CheckCache()
    assert len(reads(repo, cache, "1")[1]) == 7
    repo.append("devices.yaml", repo.device("pump-3"))
    loaded, read = reads(repo, cache, "2")
    assert read == ["devices.yaml"]
    assert loaded.desired is not None
    assert DeviceId("pump-3") in loaded.desired.devices
    assert loaded.desired.commit == "2"


def test_an_unchanged_commit_is_not_listed_again(repo: Repo) -> None:
    cache = CheckCache()
    first, _ = reads(repo, cache, "1")
    tree = CountingTree(repo.root)
    assert load(tree, commit=Commit("1"), cache=cache) is first
    assert tree.listed == 0


def test_without_a_commit_files_are_listed_again(repo: Repo) -> None:
    cache = CheckCache()
    reads(repo, cache, "")
    repo.append("devices.yaml", repo.device("pump-3"))
    assert reads(repo, cache, "")[1] == ["devices.yaml"]


def test_a_renamed_file_is_not_read_again_and_its_problems_follow(repo: Repo) -> None:
    cache = CheckCache()
    repo.write("z.yaml", "a: on\n")
    reads(repo, cache, "1")
    (repo.root / "z.yaml").rename(repo.root / "y.yaml")
    loaded, read = reads(repo, cache, "2")
    assert read == []
    assert {problem.path for problem in loaded.problems} == {"y.yaml"}


def test_a_new_process_reads_nothing_that_is_cached(repo: Repo, path: Path) -> None:
    repo.write("warned.yaml", repo.document("Gateway", "yard", "spec:\n  selector: {matchLabels: {site: moon}}\n"))
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert second == first
    assert read == ["warned.yaml"]  # only to find the line of the warning


def test_problems_are_cached_too(repo: Repo, path: Path) -> None:
    repo.write("corrupted.yaml", "a: on\n--- \nkind: Devic\n---\n- x\n---\n" + repo.device("Not_A_Name"))
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert (second, read) == (first, [])
    assert len(second.errors) > 3


def stored(path: Path) -> list[tuple[str, bytes, bytes]]:
    with sqlite3.connect(path) as disk:
        return disk.execute("SELECT key, body, sha256 FROM found").fetchall()


def test_a_flipped_byte_in_any_row_is_a_miss_and_the_row_is_replaced(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    with sqlite3.connect(path) as disk:
        for key, body, _ in stored(path):
            corrupted = bytearray(body)
            corrupted[len(body) // 2] ^= 1
            disk.execute("UPDATE found SET body = ? WHERE key = ?", (bytes(corrupted), key))
    disk.close()
    with CheckCache(path) as cache:
        second, read = reads(repo, cache, "1")
    assert second == first
    assert len(read) == 7
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[1] == []


def test_a_row_with_the_key_of_another_blob_is_a_miss(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    rows = stored(path)
    with sqlite3.connect(path) as disk:
        for (key, _, _), (_, body, checksum) in zip(rows, [*rows[1:], rows[0]], strict=True):
            disk.execute("UPDATE found SET body = ?, sha256 = ? WHERE key = ?", (body, checksum, key))
    disk.close()
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1") == (first, reads(repo, CheckCache(), "1")[1])


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "empty":
        data.clear()
    elif how == "text":
        data = bytearray(b"this is not a database\n" * 100)
    elif how == "cut":
        del data[len(data) // 2 :]
    else:
        chance = random.Random(how)
        for at in range(0, len(data), 7):
            data[at] = chance.randrange(256)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["empty", "text", "cut", "noise 1", "noise 2", "noise 3"])
def test_a_damaged_file_is_replaced(how: str, repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    damage(path, how)
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first


def test_a_file_truncated_to_its_header_is_replaced(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        first, _ = reads(repo, cache, "1")
    header = 100
    data = bytearray(path.read_bytes())
    data[header:] = bytes(len(data) - header)
    path.write_bytes(data)
    with CheckCache(path) as cache:
        assert reads(repo, cache, "1")[0] == first


def test_an_unwritable_cache_falls_back_to_memory(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with CheckCache(tmp_path / "file" / "load.sqlite") as cache:
        assert reads(repo, cache, "1")[0].problems == ()


def test_a_locked_cache_falls_back_to_memory(repo: Repo, path: Path) -> None:
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


def test_a_change_of_schemas_invalidates_the_cache(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        reads(repo, cache, "1")
    with sqlite3.connect(path) as disk:
        disk.execute("UPDATE found SET key = replace(key, ?, 'other')", (schemas.version()[:16],))
    disk.close()
    with CheckCache(path) as cache:
        assert len(reads(repo, cache, "1")[1]) == 7


def test_the_file_does_not_grow_without_bound(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache:
        for number in range(1100):
            cache.remember_checked(f"{number:040x}", *empty())
        reads(repo, cache, "1")
    assert len(stored(path)) == 7


def empty() -> tuple[CheckedFile, list[object]]:
    return CheckedFile(), []


def test_memory_keeps_only_the_blobs_of_the_last_commit(repo: Repo) -> None:
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
    assert [problem.rule for problem in loaded.problems] == [Rule.CHECKSUM_MISMATCH]


class Away(Transient):
    """Simulates a source that fails halfway."""


class FailingTree(CountingTree):
    def read(self, entry: TreeEntry) -> bytes:
        if len(self.read_paths) == 3:
            raise Away("gone")
        return super().read(entry)


def test_results_before_a_failure_of_the_source_are_kept(repo: Repo, path: Path) -> None:
    with CheckCache(path) as cache, pytest.raises(Away):
        load(FailingTree(repo.root), commit=Commit("1"), cache=cache)
    with CheckCache(path) as cache:
        assert len(reads(repo, cache, "1")[1]) == 4
