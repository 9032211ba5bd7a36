# SPDX-License-Identifier: Apache-2.0
"""docs/testing.md names every make target, and every folder of tests."""

from __future__ import annotations

import re
import subprocess

from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_page_names_every_target_of_make_help() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    targets = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    assert len(targets) > 20
    assert set(re.findall(r"`make ([a-z-]+)`", PAGE)) == targets


def test_every_folder_of_tests_is_named() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    named = set(re.findall(r"`tests/([a-z]+)[/`]", PAGE))
    assert folders - named == set()
