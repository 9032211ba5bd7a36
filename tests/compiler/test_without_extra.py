# SPDX-License-Identifier: Apache-2.0
"""A gateway without the extra `build`: what it can build, and how it refuses the rest."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.scaffold import repository
from reconciler.compiler.errors import ToolsMissing
from reconciler.compiler.recipe import recipe_of
from reconciler.compiler.worker import EXTRA_PACKAGES
from reconciler.load import DirectoryTree, load
from reconciler.model import Commit
from tests.compiler.recipes import Files, forest_recipe

HIDING = """
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
SETTINGS = {"memory_bytes": 4 << 30, "cpu_s": 60, "file_bytes": 1 << 30}


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a function that builds in a process without the extra; it returns the failure, or an empty dict."""

    def build(recipe: bytes, files: dict[str, bytes]) -> dict[str, str]:
        (tmp_path / "files").mkdir()
        for digest, data in files.items():
            (tmp_path / "files" / digest).write_bytes(data)
        (tmp_path / "recipe.json").write_bytes(recipe)
        (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
        code = (
            HIDING.format(hidden=set(EXTRA_PACKAGES))
            + "from reconciler.compiler.worker import main\nraise SystemExit(main())"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path], check=False, capture_output=True, text=True)
        failure = tmp_path / "error.json"
        failed: dict[str, str] = json.loads(failure.read_bytes()) if failure.exists() else {}
        assert done.returncode == (1 if failed else 0), done.stderr
        return failed

    return build


def test_a_forest_is_refused_with_what_to_install(outcome: Callable[..., dict[str, str]]) -> None:
    files = Files()
    recipe = forest_recipe(files)
    failed = outcome(recipe.to_json(), files.by_digest)
    assert failed["kind"] == ToolsMissing.__name__
    assert "scikit-learn, which is not installed" in failed["message"]
    assert "install tinyfleet[build]" in failed["message"]


def test_a_network_is_refused_with_what_to_install(outcome: Callable[..., dict[str, str]]) -> None:
    files = Files()
    recipe = forest_recipe(files, source=files.add("net.tflite", b"\0" * 64), train=None, parameters={})
    failed = outcome(recipe.to_json(), files.by_digest)
    assert failed["kind"] == ToolsMissing.__name__
    assert "ai-edge-litert" in failed["message"]


def test_what_init_writes_is_built_without_the_extra(outcome: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    files = repository("plant", "bench", ())
    for name, data in files.items():
        path = tmp_path / "fleet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    desired = load(DirectoryTree(tmp_path / "fleet"), commit=Commit("")).desired
    assert desired is not None
    pairs = [(model, kind) for model in desired.models.values() for kind in desired.types.values()]
    assert pairs
    for model, kind in pairs:
        recipe = recipe_of(model, kind)
        known = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
        assert outcome(recipe.to_json(), {each.sha256: known[each.sha256] for each in recipe.files()}) == {}


def test_a_threshold_model_is_built_without_the_extra(outcome: Callable[..., dict[str, str]]) -> None:
    files = Files()
    model = json.dumps({"kind": "threshold", "weights": [1, -2], "threshold": 3, "golden": [[1, 2]]}).encode()
    recipe = forest_recipe(files, source=files.add("sum.json", model), train=None, parameters={})
    assert outcome(recipe.to_json(), files.by_digest) == {}
