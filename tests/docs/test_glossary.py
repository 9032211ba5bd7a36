# SPDX-License-Identifier: Apache-2.0
"""No page uses a word that docs/glossary.md rules out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, pages, prose

GLOSSARY = ROOT / "docs" / "glossary.md"
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \| (.*) \| ?(.*?) ?\|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
# Words of the last column that have no other meaning. The others are common words, such as `test` or `log`.
PLAIN = {
    "abort", "bake time", "checksum", "chunk", "config repo", "deployment", "golden image",
    "ground truth", "in flight", "maintenance slot", "packet", "partial", "replica", "rogue device", "root of trust",
    "telemetry", "workspace",
}  # fmt: skip


def test_words_are_sorted_and_unique() -> None:
    words = [word.lower() for word, _, _ in ROWS]
    assert words == sorted(set(words))
    assert len(words) > 60


def test_words_ruled_out_come_from_the_glossary() -> None:
    listed = {word.strip() for _, _, ruled_out in ROWS for word in re.sub(r"\([^)]*\)", "", ruled_out).split(",")}
    assert listed >= PLAIN


@pytest.mark.parametrize("page", [page for page in pages() if page != GLOSSARY], ids=lambda page: page.name)
def test_a_page_uses_no_word_that_is_ruled_out(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(page)).lower()
    assert [word for word in sorted(PLAIN) if re.search(rf"\b{word}s?\b", text)] == []
