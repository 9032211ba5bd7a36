# SPDX-License-Identifier: Apache-2.0
"""Checking on several cores gives what checking on one does, mistakes and all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan import files
from reconciler.load import CheckCache, DirectoryTree, load
from reconciler.load.parallel_check import LEAST_BYTES, check_in_parallel
from reconciler.model import Commit

DEVICES = 2_000


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    for name, text in files(DEVICES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.yaml")) > LEAST_BYTES
    return tmp_path


@pytest.mark.parametrize("spoiled", [False, True], ids=["good", "with mistakes"])
def test_the_same_on_several_cores(fleet: Path, *, spoiled: bool) -> None:
    if spoiled:
        for path in sorted((fleet / "devices").iterdir())[::7]:
            path.write_text(path.read_text().replace("type: kind1", "type: 7", 3).replace("link:", "lnik:", 1))
    alone = load(DirectoryTree(fleet), commit=Commit(""))
    cache = CheckCache()
    check_in_parallel(DirectoryTree(fleet), cache)
    together = load(DirectoryTree(fleet), commit=Commit(""), cache=cache)
    assert together == alone
    assert (together.desired is None) is spoiled
    assert bool(together.errors) is spoiled


def test_every_file_of_yaml_is_known_afterwards(fleet: Path) -> None:
    cache = CheckCache()
    check_in_parallel(DirectoryTree(fleet), cache)
    yaml = [entry for entry in DirectoryTree(fleet).entries() if entry.path.endswith(".yaml")]
    assert len(yaml) > DEVICES / 100
    assert all(cache.checked(entry.blob) is not None for entry in yaml)
