# SPDX-License-Identifier: Apache-2.0
"""The files of a model, from the fleet repository or a URL."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import recipe_of
from reconciler.compiler.source_fetcher import SourceUnavailable, fetcher
from reconciler.load import DirectoryTree
from reconciler.model import (
    Digest,
    ModelSource,
)
from tests.compiler.recipes import BOARD, model_with_data


def test_files_come_from_the_repository_or_a_url(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.tflite").write_bytes(b"model")
    with fsspec.open("memory://data.npy", "wb") as stream:
        stream.write(b"samples")
    named = {name: Digest(hashlib.sha256(data).hexdigest()) for name, data in (("m", b"model"), ("d", b"samples"))}
    model = model_with_data(
        ModelSource(named["m"], path="models/m.tflite"), ModelSource(named["d"], url="memory://data.npy")
    )
    fetch = fetcher(model, DirectoryTree(tmp_path))
    assert [fetch(file) for file in recipe_of(model, BOARD).files()] == [b"model", b"samples", b"samples"]


def test_a_missing_file_is_an_error_and_an_unreachable_server_is_transient(tmp_path: Path) -> None:
    gone = ModelSource(Digest("0" * 64), path="models/gone.tflite")
    away = ModelSource(Digest("1" * 64), url="memory://nowhere.npy")
    model = model_with_data(gone, away)
    fetch = fetcher(model, DirectoryTree(tmp_path))
    first, second, _ = recipe_of(model, BOARD).files()
    with pytest.raises(BuildFailed, match=r"the fleet repository has no file models/gone\.tflite"):
        fetch(first)
    with pytest.raises(SourceUnavailable):
        fetch(second)
