# SPDX-License-Identifier: Apache-2.0
"""Every command in README and docs exists with the options shown; marked blocks are run."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from reconciler.cli import cli
from tests.docs.markdown import ROOT, pages
from tests.docs.shellblocks import NEEDS, SHELLS, Block, blocks, commands, run

PAGES = pages()
RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]
INLINE = re.compile(r"`(tinyfleet [^`]+|make [a-z][^`]*)`")
INDENTED = re.compile(r"^    ((?:tinyfleet|make) .*)$", re.MULTILINE)
ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "2>&1", "#", "…", "..."}
ASKED = "TINYFLEET_PASSPHRASE_FILE"
HOST = ROOT / "firmware" / "build" / "host"


def shown(page: Path) -> Iterator[tuple[str, str]]:
    """Yield our commands on a page, with their location."""
    text = page.read_text(encoding="utf-8")
    fenced = [line for block in blocks(page) for line in commands(block)]
    for line in [*fenced, *INLINE.findall(text), *INDENTED.findall(text)]:
        for part in re.split(r"&&|\|\||;|\| |<\(", line):
            if re.match(r"\s*(?:sudo )?(?:tinyfleet|make) [a-z-]", part):
                yield page.name, part.strip().removeprefix("sudo ")


def words_of(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = []
    for word in lexer:
        if word in ENDS or word.startswith(("…", "2>", ">")):
            break
        words.append(word.strip("[]()"))
    return words


def unknown(words: list[str]) -> str | None:
    """Return the first command or option that does not exist."""
    command: click.Command = cli
    context = click.Context(cli)
    for word in words[1:]:
        if word.startswith("-") and word != "-":
            options = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in options | {"-h", "--help"}:
                return word
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return None if re.search(r"[A-Z…<]", word) else word
            command = found
    return None


def test_commands_are_found_in_text_and_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("say `tinyfleet plan --all`\n\n    make x\n\n```\nroot$  tinyfleet keys show F  # why\n```\n")
    assert [line for _, line in shown(page)] == ["tinyfleet keys show F  # why", "tinyfleet plan --all", "make x"]
    assert words_of("tinyfleet keys show F  # why") == ["tinyfleet", "keys", "show", "F"]


@pytest.mark.parametrize("bad", ["tinyfleet plam", "tinyfleet plan --al", "tinyfleet keys root initt R"])
def test_an_unknown_command_is_found(bad: str) -> None:
    assert unknown(bad.split()) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_exists_with_its_options(page: Path) -> None:
    wrong = {}
    for _, line in shown(page):
        if line.startswith("tinyfleet ") and (word := unknown(words_of(line))):
            wrong[line] = word
    assert wrong == {}


def test_every_make_target_exists() -> None:
    lines = [*(ROOT / "Makefile").read_text().splitlines()]
    lines += [line for each in (ROOT / "mk").glob("*.mk") for line in each.read_text().splitlines()]
    targets = {name for line in lines if (rule := re.match(r"([a-z][a-z -]*):", line)) for name in rule[1].split()}
    named = {
        (place, word)
        for page in PAGES
        for place, line in shown(page)
        if line.startswith("make ")
        for word in words_of(line)[1:]
        if re.fullmatch(r"[a-z][a-z-]*", word)
    }
    assert {(place, word) for place, word in named if word not in targets} == set()


def test_options_of_the_virtual_devices_exist() -> None:
    program = (ROOT / "firmware" / "ports" / "host" / "vdev" / "options.c").read_text(encoding="utf-8")
    known = {f"--{name}" for name in re.findall(r'\{ ?"([a-z-]+)", (?:required|no)_argument', program)}
    lines = [
        line
        for page in PAGES
        for block in blocks(page)
        for line in commands(block)
        if line.startswith("tinyfleet-vdev")
    ]
    assert len(lines) > 3
    assert {word for line in lines for word in words_of(line) if word.startswith("--")} <= known


def undeclared(block: Block) -> bool:
    """Return whether a block has commands that are neither run nor marked with the reason why not."""
    if block.words[:1] in {("",), ()}:  # a block that is not for a shell is marked as text
        return True
    return block.words[0] in SHELLS and not block.runs and block.needs not in NEEDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_commands_is_run_or_declares_its_needs(page: Path) -> None:
    assert [block.place for block in blocks(page) if undeclared(block)] == []


def test_a_block_without_a_reason_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    texts = ["sh test", "sh needs root", "text", "sh", "sh needs patience", "", "console"]
    page.write_text("".join(f"```{words}\ntrue\n```\n" for words in texts))
    assert [undeclared(block) for block in blocks(page)] == [False, False, False, True, True, True, True]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_loop_says_what_it_waits_for(page: Path) -> None:
    """A reader whose terminal shows nothing for a minute must know whether that is as it should be."""
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    loops = [number for number, line in enumerate(lines) if line.startswith(("until ", "while "))]
    assert [lines[number] for number in loops if not lines[number - 1].startswith('echo "waiting ')] == []


def test_every_need_is_used() -> None:
    assert {block.needs for page in PAGES for block in blocks(page)} == {None, *NEEDS}


@pytest.mark.parametrize("bad", ["false", "cat missing", "false | true", 'echo "$unset"'])
def test_a_page_whose_command_fails_fails(tmp_path: Path, bad: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```sh test\ntrue\n```\n\n```sh\nfalse\n```\n\n```sh test\n{bad}\necho continued > on\n```\n")
    with pytest.raises(AssertionError, match="ended with 1"):
        run(page, tmp_path, {}, within_s=10)
    assert not (tmp_path / "on").exists()


def test_processes_of_a_page_end_with_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh test\nsleep 1000 &\necho $! > pid\n```\n")
    run(page, tmp_path, {}, within_s=10)
    try:
        started = os.pidfd_open(int((tmp_path / "pid").read_text()))
    except ProcessLookupError:
        return
    with closing(os.fdopen(started)):
        assert select.select([started], [], [], 5)[0] == [started]


@pytest.fixture(scope="module")
def virtual_devices() -> Path:
    """Build tinyfleet-vdev, as in the first block of the tutorial."""
    configure = ["cmake", "--preset", "host", f"-DPython3_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", "--preset", "host", "--target", "tinyfleet-vdev"]):
        subprocess.run(command, cwd=ROOT / "firmware", check=True, capture_output=True)
    return HOST


def begin_fleet(folder: Path) -> None:
    git = [
        "git",
        "-C",
        "fleet",
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.org",
        "-c",
        "commit.gpgSign=false",
    ]
    for words in (
        [str(Path(sys.executable).with_name("tinyfleet")), "init", "fleet"],
        [*git, "add", "."],
        [*git, "commit", "-q", "-m", "Begin the fleet"],
    ):
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
    (folder / "srv").mkdir()


@pytest.mark.build
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_marked_commands_run_in_order(page: Path, tmp_path: Path, virtual_devices: Path) -> None:
    path = f"{Path(sys.executable).parent}:{virtual_devices}:/usr/sbin:/usr/bin:/sbin:/bin"
    home = tmp_path / "home"
    home.mkdir()
    for folder in ("etc/tinyfleet", "media/safe", "media/stick"):
        (tmp_path / "work" / folder).mkdir(parents=True)
    if page.name == "operations.md":  # it assumes an existing fleet
        begin_fleet(tmp_path / "work")
    secret = home / "passphrase"
    secret.write_text("correct horse battery staple")
    secret.chmod(0o600)
    # The tutorial creates a passphrase file; on other pages, people are asked for a passphrase.
    asked = {} if page.name == "tutorial.md" else {ASKED: str(secret)}
    run(
        page,
        tmp_path / "work",
        {"PATH": path, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "GIT_CONFIG_NOSYSTEM": "1", **asked},
        within_s=180,
    )
