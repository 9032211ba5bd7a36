# SPDX-License-Identifier: Apache-2.0
"""The problems of a fleet repository for people: each with its line and a caret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from reconciler.cli import terminal
from reconciler.errors import FleetError
from reconciler.tree import Tree
from reconciler.validation.excerpt import excerpt
from reconciler.validation.problems import Problem

LOCATION = re.compile(r"^[^\s:][^:]*:\d+:\d+: ")
WARNING = re.compile(r"^[^\s:][^:]*:\d+:\d+: warning:")
MARGIN = re.compile(r"^ *\d* \| ")
CARET = re.compile(r"^ +\| +\^$")
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def problem_lines(problems: Iterable[Problem], tree: Tree, root: Path | None = None) -> list[str]:
    """Return each problem, its line and a caret; with `root`, paths are those from the working directory."""
    entries = {entry.path: entry for entry in tree.entries()}
    texts: dict[str, str] = {}
    lines: list[str] = []
    for problem in problems:
        entry = entries.get(problem.path)
        if problem.line and entry is not None and problem.path not in texts:
            try:
                texts[problem.path] = tree.read(entry).decode("utf-8", "replace").removeprefix(BOM)
            except FleetError:
                texts[problem.path] = ""  # the report is worth more than the excerpt
        lines.append(str(problem if root is None else replace(problem, path=from_here(root, problem.path))))
        lines += excerpt(texts.get(problem.path, ""), problem.line, problem.column)
    return lines


def report_problems(problems: Iterable[Problem], tree: Tree, conclusion: str = "") -> None:
    """Print problems on standard error, because they stop a command that was asked for something else."""
    lines = [*problem_lines(problems, tree), *([conclusion] if conclusion else [])]
    terminal.print_lines(map(styled, lines), stderr=True)


def print_highlighted(message: str) -> None:
    """Print the message of an error that has problems and their lines."""
    terminal.print_lines(map(styled, message.splitlines()), stderr=True)


def from_here(root: Path, path: str) -> str:
    """Return a path that a terminal or a forge can open from the working directory."""
    return (root / path).as_posix() if path else root.as_posix()


def styled(line: str) -> Text:
    """Highlight the location, the margin and the caret of a line."""
    text = Text(line)
    if CARET.match(line):
        text.stylize("bold red", line.index("^"))
    if found := LOCATION.match(line):
        text.stylize("bold", 0, found.end())
        if warning := WARNING.match(line):
            text.stylize("bold yellow", found.end(), warning.end())
    elif found := MARGIN.match(line):
        text.stylize("dim", 0, found.end())
    return text
