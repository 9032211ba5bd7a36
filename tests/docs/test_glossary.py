# SPDX-License-Identifier: Apache-2.0
"""One word per thing: what docs/glossary.md rules out, and has no other meaning, stands on no page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, pages, prose

GLOSSARY = ROOT / "docs" / "glossary.md"
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \| (.*) \| ?(.*?) ?\|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
# Words of the last column that also have an honest other meaning somewhere, such as a test or a log.
PLAIN = {
    "abort", "bake time", "checksum", "chunk", "config repo", "deployment", "golden image",
    "ground truth", "in flight", "maintenance slot", "packet", "partial", "replica", "rogue device", "root of trust",
    "telemetry", "workspace",
}  # fmt: skip


def test_words_are_in_order_and_there_once() -> None:
    words = [word.lower() for word, _, _ in ROWS]
    assert words == sorted(set(words))
    assert len(words) > 60


def test_words_ruled_out_are_those_of_the_glossary() -> None:
    listed = {word.strip() for _, _, ruled_out in ROWS for word in re.sub(r"\([^)]*\)", "", ruled_out).split(",")}
    assert listed >= PLAIN


@pytest.mark.parametrize("page", [page for page in pages() if page != GLOSSARY], ids=lambda page: page.name)
def test_no_other_word_stands_for_the_same(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(page)).lower()
    assert [word for word in sorted(PLAIN) if re.search(rf"\b{word}s?\b", text)] == []
