# SPDX-License-Identifier: Apache-2.0
"""No text uses words that read as if translated. The list has a plain word for each."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.test_house import ROOT, tracked

HERE = Path(__file__)
PROSE = {".py", ".c", ".h", ".md", ".sh", ".mk", ".toml", ".json", ".yaml", ".yml", ".cmake", ".conf", ".service"}
# The pattern, what to write instead, and an example.
GIVEAWAYS = {
    "again and again": (r"\b(?:again and again|over and over)\b", "repeatedly", "it asks again and again"),
    "anew": (r"\banew\b", "again", "the mirror is built anew"),
    "as X has it": (r"(?<!soon )(?<!long )\bas \w+ (?:has|have) it\b", "as in X, like X", "rounded as C has it"),
    "beside": (r"\bbeside\b", "next to, besides, as well as", "a file beside the database"),
    "by itself": (r"\b(?:by|of) itself\b", "automatically, on its own, separately", "it restarts by itself"),
    "called off": (r"\bcall(?:s|ed|ing)? off\b", "cancel", "the transfer is called off"),
    "for ever": (r"\bfor ever\b", "forever, without a limit", "it would wait for ever"),
    "goes on": (r"\b(?:go|goes|gone|went) on\b", "continue", "the trial goes on"),
    "hither": (r"\b(?:hither|thither|hence|whence)\b", "here, from there", "whence it came"),
    "in spite of": (r"\bin spite of\b|\bin the midst\b", "despite, in the middle of", "complete in spite of losses"),
    "is let": (r"\b(?:is|are|was|were|be) let\b", "may, is allowed to", "nothing is let through"),
    "is no": (
        r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|other\b|such\b)\w+",
        "is not a …",
        "it is no file that we read",
    ),
    "judge": (r"\bjudg(?:es?|ed|ing)\b", "evaluate, check", "a gate is judged after the soak time"),
    "lies in": (r"\b(?:lie|lies|lay) (?:in|on|at|under|below)\b", "is in, is on", "the file lies in the folder"),
    "mend": (r"\bmend(?:s|ed|ing)?\b", "repair, fix", "a torn block is mended"),
    "of ours": (r"\bof (?:ours|theirs)\b", "our, of our own", "a device of ours"),
    "say": (r'"""(?-i:Say|Tell|Name)\b', "return, describe, list", '"""Say why the device is held."""'),
    "shall": (r"\bshall\b", "must, should", "the figures shall be equal"),
    "so many": (r"\bso (?:many|much|long)\b", "this many, as long as", "after so many reports"),
    "somebody": (r"\b(?:some|every)body\b", "someone, everyone", "somebody has to look"),
    "spoil": (r"\bspoil(?:s|t|ed|ing)?\b", "damage, corrupt", "a spoilt pack"),
    "stands in": (
        r"\bstands? (?:in|on|at|under|below|behind|where)\b(?! for\b)",
        "is in, is written in",
        "the version stands in the header",
    ),
    "tells": (r"\btells? (?:of|how|what|which|whether|why)\b", "reports, shows, states", "it tells of each device"),
    "that there are": (
        r"\b(?:what|that) there (?:is|are)\b(?! (?:no|a|an)\b)",
        "the existing …, which exist",
        "a list of all that there is",
    ),
    "told": (
        r"\b(?:is|are|was|were|be|been) told\b|\btold (?:by|of|apart)\b",
        "reported, shown, stated",
        "it is told of",
    ),
    "under way": (r"\bunder way\b", "in progress", "an update is under way"),
    "whereof": (r"\b(?:where|there|here)(?:of|upon|to|with)\b", "of which, with it", "the part whereof it is made"),
    "whoever": (r"\bwho(?:m|so)?ever\b", "anyone who", "whoever holds the key"),
}


@cache
def prose() -> list[tuple[str, str]]:
    """Return the location and the text of each line. Vectors are data, and the glossary lists words to avoid."""
    left_out = {HERE, ROOT / "docs" / "glossary.md", *(ROOT / "tests" / "vectors").glob("*.json")}
    paths = [path for path in tracked() if path.suffix in PROSE or path.name == "Makefile"]
    return [
        (f"{path.relative_to(ROOT)}:{number}", line.strip())
        for path in paths
        if path not in left_out
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


@pytest.mark.parametrize("word", GIVEAWAYS)
def test_prose_avoids(word: str) -> None:
    pattern, better, _ = GIVEAWAYS[word]
    giveaway = re.compile(pattern, re.IGNORECASE)
    found = [f"{at}: {line[:100]}" for at, line in prose() if giveaway.search(line)]
    assert found == [], f"write {better!r} instead"


@pytest.mark.parametrize("word", GIVEAWAYS)
def test_each_pattern_finds_its_own_example(word: str) -> None:
    pattern, _, example = GIVEAWAYS[word]
    assert re.search(pattern, example)
