# SPDX-License-Identifier: Apache-2.0
"""Checking on several cores gives the same result as on one, including problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan import files
from reconciler.load import CheckCache, DirectoryTree, load
from reconciler.load.parallel_check import check_in_parallel
from reconciler.model import Commit

DEVICES = 2_000


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    for name, text in files(DEVICES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("broken", [False, True], ids=["good", "with problems"])
def test_checking_on_several_cores_gives_the_same_result(fleet: Path, *, broken: bool) -> None:
    if broken:
        for path in sorted((fleet / "devices").iterdir())[::7]:
            path.write_text(path.read_text().replace("type: kind1", "type: 7", 3).replace("link:", "lnik:", 1))
    alone = load(DirectoryTree(fleet), commit=Commit(""))
    cache = CheckCache()
    check_in_parallel(DirectoryTree(fleet), cache, min_bytes=0)
    together = load(DirectoryTree(fleet), commit=Commit(""), cache=cache)
    assert together == alone
    assert (together.desired is None) is broken
    assert bool(together.errors) is broken


def test_every_yaml_file_is_in_the_cache_afterwards(fleet: Path) -> None:
    cache = CheckCache()
    check_in_parallel(DirectoryTree(fleet), cache, min_bytes=0)
    yaml = [entry for entry in DirectoryTree(fleet).entries() if entry.path.endswith(".yaml")]
    assert len(yaml) > DEVICES / 100
    assert all(cache.checked(entry.blob) is not None for entry in yaml)
