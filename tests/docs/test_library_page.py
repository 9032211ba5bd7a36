# SPDX-License-Identifier: Apache-2.0
"""docs/library.md has a row for each example, and states its archives and sizes as they are."""

from __future__ import annotations

import json
import re

from firmware.library.contents import OWN, version
from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
SDKS = {"esp-idf", "zephyr", "arduino"}


def test_each_example_has_a_row() -> None:
    table = PAGE.partition("| example | glue |")[2].partition("\n\n")[0]
    rows = set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))
    assert rows == {path.name for path in (OWN / "examples").iterdir()}


def test_only_the_example_that_runs_on_boards_claims_it() -> None:
    table = PAGE.partition("| example | glue |")[2].partition("\n\n")[0]
    claims = {line.split("`")[1] for line in table.splitlines() if "emulated boards" in line}
    tested = (ROOT / "tests" / "library" / "test_bare_metal.py").read_text(encoding="utf-8")
    assert claims == {"bare-metal"}
    assert 'unpacked / "examples" / "bare-metal"' in tested


def test_every_sdk_with_declarations_of_our_own_is_called_unbuilt() -> None:
    contracts = {path.name for path in (ROOT / "firmware" / "library" / "contracts").iterdir() if path.is_dir()}
    assert contracts == SDKS
    for name in ("esp-idf", "zephyr"):
        page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert "has never built this" in page.partition("\n## ")[0]
    assert "**never built by these SDKs**" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_archives_have_the_names_on_the_page() -> None:
    assert f"`tinyfleet-{version()}.tar.gz`" in PAGE
    assert f"`tinyfleet.tinyfleet.{version()}.pack`" in PAGE


def test_the_examples_have_the_length_that_the_pages_state() -> None:
    length = {
        path: len((OWN / "examples" / path).read_text().splitlines())
        for path in ("bare-metal/main.c", "esp-idf/main/main.c")
    }
    assert f"`examples/bare-metal/main.c` has {length['bare-metal/main.c']} lines" in PAGE
    page = (ROOT / "docs" / "esp-idf.md").read_text(encoding="utf-8")
    assert f"a complete firmware of {length['esp-idf/main/main.c']} lines" in page


def test_settings_and_partitions_on_the_page_are_those_of_the_example() -> None:
    page = (ROOT / "docs" / "esp-idf.md").read_text(encoding="utf-8")
    example = OWN / "examples" / "esp-idf"
    assert (example / "partitions.csv").read_text() in page
    shown = re.findall(r"^CONFIG_ESP\w+=\w+$", page, re.MULTILINE)
    assert shown
    assert set(shown) <= set((example / "sdkconfig.defaults").read_text().splitlines())


def test_the_limits_of_the_device_with_tls_are_those_of_the_budget() -> None:
    boards = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    budget = json.loads((ROOT / "firmware" / "budget.json").read_text(encoding="utf-8"))
    table = boards.partition("| | bytes | limit in `budget.json` |")[2].partition("\n\n")[0]
    limits = [
        int(row.rsplit("|", 2)[1].replace(",", ""))
        for row in table.splitlines()
        if row.count("|") == 4 and "--" not in row
    ]
    assert limits == [budget[f"{name}_network_m4"] for name in ("text", "ram", "heap")]
    assert f"budget {budget['text_library_m4']:,}" in PAGE
