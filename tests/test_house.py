# SPDX-License-Identifier: Apache-2.0
"""Rules for the whole tree that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {".py", ".c", ".h", ".ld", ".S", ".sh", ".cmake"}
MACHINE_PATHS = re.compile(rb"(?:^|[\s\"'=(:])(/work/|/root/|/home/\w+/|/tmp/bash_jobs)")
# Assembled from parts, so that this file does not contain the names either.
HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js",
    "deb." + "debian.org",
    "static.crates" + ".io",
]
REGISTRIES = re.compile("|".join(re.escape(host) for host in HOSTS).encode())
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    return [ROOT / name.decode() for name in names.split(b"\0") if name and (ROOT / name.decode()).is_file()]


def test_every_source_names_its_licence() -> None:
    missing = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in SOURCES and b"SPDX-License-Identifier: Apache-2.0" not in path.read_bytes()[:200]
    ]
    assert missing == []


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRIES, PRIVATE_KEY], ids=["machine-path", "registry", "key"])
def test_no_machine_path_registry_or_private_key_is_tracked(pattern: re.Pattern[bytes]) -> None:
    here = Path(__file__)
    found = [str(path.relative_to(ROOT)) for path in tracked() if path != here and pattern.search(path.read_bytes())]
    assert found == []


def test_each_pattern_matches_an_example() -> None:
    assert MACHINE_PATHS.search(b"cd /work/" + b"main")
    assert all(REGISTRIES.search(f"--index-url https://{host}/simple".encode()) for host in HOSTS)
    assert PRIVATE_KEY.search(b"-----BEGIN " + b"PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE")


def test_pytest_skips_no_folder_of_tests(pytestconfig: pytest.Config) -> None:
    """Pytest silently skips folders with certain names: tests in such a folder would never run."""
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir() and any(path.glob("test_*.py"))}
    assert "compiler" in folders
    patterns: list[str] = pytestconfig.getini("norecursedirs")
    assert [name for name in sorted(folders) if any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_class_names_are_unique() -> None:
    """A reader who greps for a concept finds one class, not one in each package."""
    places: dict[str, list[str]] = defaultdict(list)
    for package in ("reconciler", "signing"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert len(places) > 300
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
