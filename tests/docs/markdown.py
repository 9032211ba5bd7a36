# SPDX-License-Identifier: Apache-2.0
"""Parses a Markdown page: its links, anchors and code spans."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
EXPLICIT = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")


@cache
def pages() -> tuple[Path, ...]:
    """List every Markdown file that is tracked or not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()))


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links."""
    for match in LINK.finditer(SPAN.sub("``", prose(page))):
        yield match[1] or match[2]


def spans(page: Path) -> list[str]:
    """Return the code spans in the text of a page."""
    return SPAN.findall(prose(page))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that forges generate for the headings of a page."""
    seen: dict[str, int] = {}
    found = set(EXPLICIT.findall(page.read_text(encoding="utf-8")))
    for heading in HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        times = seen.get(slug, 0)
        seen[slug] = times + 1
        found.add(f"{slug}-{times}" if times else slug)
    return frozenset(found)
