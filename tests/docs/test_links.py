# SPDX-License-Identifier: Apache-2.0
"""Links, anchors, files and names in code spans exist."""

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
# Top-level folders: a code span that begins with one of these names a file or a folder of the tree.
TOP = r"(?:docs|tests|reconciler|signing|schemas|firmware|systemd|bench|demo|tools|mk|requirements|fleet-repo-example)"
OURS = re.compile(rf"(?:\.\./)*({TOP}/[\w./-]*\w/?|Makefile|pyproject\.toml)")
GENERATED = ("firmware/build/", "tinyfleet_root_key.h")  # by a build, and by `tinyfleet keys root init`
# A word that looks like a name in code: it has an underscore or a capital inside.
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
# Names from other projects, by page.
FOREIGN = {
    "docs/library.md": "lib_deps",  # PlatformIO's
    "docs/specs/pack.md": r"C_(?:in|out)|zp_(?:in|out)",  # variables of its formulas
    "docs/adr/0020-confined-git.md": "insteadOf",
    "docs/operations.md": "LimitNOFILE",  # systemd's
    "docs/engine.md": "forest_50",  # the bench assembles this name
}
# prometheus-client appends this to the names of counters.
COUNTER_SUFFIX = "_total"


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
            if match and not word.startswith(GENERATED) and not exists(match[1], page):
                yield match[1]


def exists(name: str, page: Path) -> bool:
    """Return whether a file exists: relative to the root or the page, or as the end of a source file's path."""
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
    """Return every word of sources, schemas and their file names, without documents and this test."""
    paths = [name for name in tracked() if Path(name).suffix in CODE and not name.startswith("tests/docs/")]
    texts = [(ROOT / name).read_text(encoding="utf-8", errors="replace") for name in paths]
    return frozenset(word for text in (*texts, *tracked()) for word in re.findall(r"\w+", text))


def unknown_names(page: Path) -> Iterator[str]:
    name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else ""
    for span in spans(page):
        for word in re.findall(r"\w+", span):
            foreign = re.fullmatch(FOREIGN.get(name, "(?!)"), word)
            if (
                NAME.fullmatch(word)
                and not foreign
                and not {word, word.removesuffix(COUNTER_SUFFIX)} & words_of_the_code()
            ):
                yield word


@PAGES
def test_every_link_resolves(page: Path) -> None:
    assert list(broken(page)) == []


@PAGES
def test_every_named_file_exists(page: Path) -> None:
    assert list(missing_files(page)) == []


@PAGES
def test_every_name_in_a_code_span_exists_in_the_code(page: Path) -> None:
    assert sorted(set(unknown_names(page))) == []


def test_wrong_links_files_and_names_are_found(tmp_path: Path) -> None:
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
def test_foreign_names_are_still_used(page: str) -> None:
    assert any(re.fullmatch(FOREIGN[page], word) for span in spans(ROOT / page) for word in re.findall(r"\w+", span))


@pytest.mark.parametrize(
    "index", ["docs/README.md", "docs/adr/README.md", "docs/commands/README.md", "docs/specs/README.md"]
)
def test_an_index_links_every_page_of_its_folder(index: str) -> None:
    page = ROOT / index
    linked = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
    others = {other for other in pages() if other.parent == page.parent and other != page}
    assert sorted(others - linked) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    found, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        found.add(page)
        targets = {(page.parent / unquote(link).partition("#")[0]).resolve() for link in links(page) if ":" not in link}
        targets |= {target / "README.md" for target in targets if target.is_dir()}
        todo += sorted(target for target in targets - found if target in pages())
    assert [page for page in pages() if page.is_relative_to(ROOT / "docs") and page not in found] == []
