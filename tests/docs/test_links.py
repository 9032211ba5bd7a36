# SPDX-License-Identifier: Apache-2.0
"""What pages point at is there: links, anchors, files, and whatever is named as code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.markdown import ROOT, anchors, links, pages, spans

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
SOURCE = re.compile(r"(?:\.\./)*([\w./-]*[\w-]+\.(?:py|c|h|mk|sh|S|ld))")
# What stands at the root of the tree: a code span that begins with one of these names a file or a folder of ours.
TOP = r"(?:docs|tests|reconciler|signing|schemas|firmware|systemd|bench|demo|tools|mk|requirements|fleet-repo-example)"
OURS = re.compile(rf"(?:\.\./)*({TOP}/[\w./-]*\w/?|Makefile|pyproject\.toml)")
MADE = ("firmware/build/", "tinyfleet_root_key.h")  # a build makes the former, `tinyfleet keys root init` the latter
# What reads as a name in code: an underscore or a capital inside.
NAME = re.compile(r"\w*(?:[a-z][A-Z]|\w_)\w*")
CODE = {
    ".py",
    ".c",
    ".h",
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".mk",
    ".cmake",
    ".in",
    ".conf",
    ".sh",
    ".service",
    ".txt",
}
# Names that are not ours, by page. What ESP-IDF and Zephyr call things is in two sections of the porting page.
FOREIGN = {
    "docs/porting.md": r"esp_\w+|_?\w*_\w*WDT|ESP_RST_PANIC|_erase_range|_write|flash_area_|flash_get_write_block_size"
    r"|wdt_feed|hwinfo_get_reset_cause|RESET_WATCHDOG|sys_reboot|SYS_REBOOT_COLD|k_uptime_get_32|ring_buf|CMakeLists|flash_",
    "docs/specs/pack.md": r"C_(?:in|out)|zp_(?:in|out)",  # variables of its formulas
    "docs/adr/0020-confined-git.md": "insteadOf",
    "docs/operations.md": "LimitNOFILE",  # systemd's
    "docs/engine.md": "forest_50",  # a name that the bench puts together
}
# prometheus-client adds this to the names of counters.
COUNTED = "_total"


def broken(page: Path) -> Iterator[str]:
    for link in links(page):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(path):
            yield f"{link}: there is no such heading"


def missing_files(page: Path) -> Iterator[str]:
    for span in spans(page):
        for word in re.split(r"[\s,]+", span.split("::")[0]):
            match = OURS.fullmatch(word) or SOURCE.fullmatch(word)
            if match and not word.startswith(MADE) and not exists(match[1], page):
                yield match[1]


def exists(name: str, page: Path) -> bool:
    """Tell whether it is there: from the root, from the page, or as the end of a source file's path."""
    if (ROOT / name).exists() or (page.parent / name).exists():
        return True
    if name.startswith("docs/adr/"):
        return any(ROOT.glob(f"{name}-*.md"))
    return SOURCE.fullmatch(name) is not None and any(path.endswith(f"/{name}") for path in tracked())


@cache
def tracked() -> tuple[str, ...]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(name for name in names.split("\0") if name and (ROOT / name).is_file())


@cache
def words_of_the_code() -> frozenset[str]:
    """Return every word of sources, schemas and their file names; documents, and this test, do not count."""
    paths = [name for name in tracked() if Path(name).suffix in CODE and not name.startswith("tests/docs/")]
    texts = [(ROOT / name).read_text(encoding="utf-8", errors="replace") for name in paths]
    return frozenset(word for text in (*texts, *tracked()) for word in re.findall(r"\w+", text))


def unknown_names(page: Path) -> Iterator[str]:
    place = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else ""
    for span in spans(page):
        for word in re.findall(r"\w+", span):
            foreign = re.fullmatch(FOREIGN.get(place, "(?!)"), word)
            if NAME.fullmatch(word) and not foreign and not {word, word.removesuffix(COUNTED)} & words_of_the_code():
                yield word


@PAGES
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


@PAGES
def test_every_file_that_is_named_exists(page: Path) -> None:
    assert list(missing_files(page)) == []


@PAGES
def test_everything_that_is_named_as_code_is_in_the_code(page: Path) -> None:
    assert sorted(set(unknown_names(page))) == []


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One, two\n[a](#one-two) [b](#three) [c](other.md) `[d](e.md)` `tests/nothing.py::test_x` `nil.c` `hal.h`\n"
        "`HeldForEver` and `HeldWave`, `silentAfter`, `silentBefore`, `tinyfleet_updates_total`,\n"
        "`tinyfleet_things_total`\n\n"
        "```\n[f](g.md) `NoMatter`\n```\n"
    )
    assert list(broken(page)) == ["#three: there is no such heading", "other.md: there is no such file"]
    assert list(missing_files(page)) == ["tests/nothing.py", "nil.c"]
    assert set(unknown_names(page)) == {"HeldForEver", "silentBefore", "tinyfleet_things_total", "test_x"}


@pytest.mark.parametrize("page", sorted(FOREIGN))
def test_foreign_names_are_still_there(page: str) -> None:
    assert any(re.fullmatch(FOREIGN[page], word) for span in spans(ROOT / page) for word in re.findall(r"\w+", span))


@pytest.mark.parametrize(
    "index", ["docs/README.md", "docs/adr/README.md", "docs/commands/README.md", "docs/specs/README.md"]
)
def test_an_index_leaves_no_page_out(index: str) -> None:
    page = ROOT / index
    linked = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
    beside = {other for other in pages() if other.parent == page.parent and other != page}
    assert sorted(beside - linked) == []


def test_a_newcomer_finds_every_page() -> None:
    found, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        found.add(page)
        targets = {(page.parent / unquote(link).partition("#")[0]).resolve() for link in links(page) if ":" not in link}
        targets |= {target / "README.md" for target in targets if target.is_dir()}
        todo += sorted(target for target in targets - found if target in pages())
    assert [page for page in pages() if page.is_relative_to(ROOT / "docs") and page not in found] == []
