# SPDX-License-Identifier: Apache-2.0
"""docs/specs/README.md lists each specification with the version in the code."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT

FOLDER = ROOT / "docs" / "specs"
ROW = re.compile(r"^\| .* \| (\w+) \| `([^`]+)` (\w+) \|", re.MULTILINE)
ROWS: list[tuple[str, str, str]] = ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("version", "path", "name"), ROWS, ids=[f"{path} {name}" for _, path, name in ROWS])
def test_a_version_equals_that_of_the_code(version: str, path: str, name: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    (value,) = re.findall(rf"^ *{name}(?:: [\w\[\]]+)? = (.+?)(?:  #.*)?$", source, re.MULTILINE)
    assert re.search(rf"(?:^|/){version}\W*$", value), value


def test_every_specification_is_checked() -> None:
    assert len(ROWS) == 9


@pytest.mark.parametrize("page", ["envelope", "report", "protocol", "package", "flash", "samples", "stages"])
def test_each_title_states_the_version(page: str) -> None:
    title = (FOLDER / f"{page}.md").read_text(encoding="utf-8").partition("\n")[0]
    row = next(
        line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if f"({page}.md)" in line
    )
    assert f"version {row.split('|')[2].strip()}" in title
