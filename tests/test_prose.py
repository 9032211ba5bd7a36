# SPDX-License-Identifier: Apache-2.0
"""Words that read as if translated. Plain technical English has a better one for each: see CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_house import ROOT, tracked

HERE = Path(__file__)
PROSE = {".py", ".c", ".h", ".md", ".sh", ".mk", ".toml", ".json", ".yaml", ".yml", ".cmake", ".conf", ".service"}
# the pattern, what to write instead, and a sentence in which it must be found
GIVEAWAYS = {
    "anew": (r"\banew\b", "again", "the mirror is built anew"),
    "beside": (r"\bbeside\b", "next to, besides, as well as", "a file beside the database"),
    "told": (
        r"\b(?:is|are|was|were|be|been) told\b|\btold (?:by|of|apart)\b",
        "reported, shown, stated",
        "it is told of",
    ),
    "tells": (r"\btells? (?:of|how|what|which|whether|why)\b", "reports, shows, states", "it tells of each device"),
    "hither": (r"\b(?:hither|thither|hence|whence)\b", "here, from there", "whence it came"),
    "whereof": (r"\b(?:where|there|here)(?:of|upon|to|with)\b", "of which, with it", "the part whereof it is made"),
    "somebody": (r"\b(?:some|every)body\b", "someone, everyone", "somebody has to look"),
    "is no": (r"\bis no \w+ that\b", "is not a … that", "it is no file that we read"),
}


def prose() -> list[Path]:
    left_out = {HERE, ROOT / "LICENSE"}
    return [
        path
        for path in tracked()
        if (path.suffix in PROSE or path.name == "Makefile")
        and path not in left_out
        and not path.is_relative_to(ROOT / "tests" / "vectors")
    ]


@pytest.mark.parametrize("word", GIVEAWAYS)
def test_prose_avoids(word: str) -> None:
    pattern, better, _ = GIVEAWAYS[word]
    giveaway = re.compile(pattern, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in prose()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if giveaway.search(line)
    ]
    assert found == [], f"write {better!r} instead"


@pytest.mark.parametrize("word", GIVEAWAYS)
def test_each_pattern_finds_its_own_example(word: str) -> None:
    pattern, _, example = GIVEAWAYS[word]
    assert re.search(pattern, example)
