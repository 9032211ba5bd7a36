# SPDX-License-Identifier: Apache-2.0
"""docs/commands/ is up to date with the help of the commands; `make command-docs` generates it."""

from __future__ import annotations

import click

from reconciler.cli import COMMANDS, cli
from tools.command_pages import FOLDER, PAGES, pages
from tools.manual import contexts


def test_every_command_is_on_one_page() -> None:
    listed = [name for _, commands, _ in PAGES.values() for name in commands]
    assert sorted(listed) == sorted(COMMANDS)


def test_every_option_has_a_help_text() -> None:
    silent = [
        f"{' '.join(words)} {option.opts[0]}"
        for words, context in contexts(cli)
        for option in context.command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_pages_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    stale = sorted(name for name, text in pages().items() if there.get(name) != text)
    assert stale == [], "run `make command-docs`"
    assert there.keys() == pages().keys()
