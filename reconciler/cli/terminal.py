# SPDX-License-Identifier: Apache-2.0
"""Prints lines on a terminal, in its width and with its colours, or plain elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

UNLIMITED = 10_000  # columns where there is no terminal: nothing is wrapped, so that each row is one line for grep

Line = str | Text


def terminal_width() -> int:
    """Return the columns of the terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


def print_lines(lines: Iterable[Line], *, stderr: bool = False) -> None:
    """Print lines; styles show only on a terminal, and not with NO_COLOR."""
    Console(highlight=False, width=terminal_width(), stderr=stderr).print(_joined(lines), soft_wrap=True)


def watch(view: Callable[[], Iterable[RenderableType]], every_s: float) -> None:
    """Refresh lines or tables in place on a terminal until Ctrl-C; elsewhere, print them again after each change."""
    try:
        if sys.stdout.isatty():
            with Live(Group(*view()), console=Console(highlight=False), auto_refresh=False) as shown:
                while True:
                    time.sleep(every_s)  # nothing signals a change of a file that another process writes
                    shown.update(Group(*view()), refresh=True)
        before = ""
        while True:
            if (now := _plain(view())) != before:
                sys.stdout.write(now)
                sys.stdout.flush()
            before = now
            time.sleep(every_s)  # as above
    except KeyboardInterrupt:
        return


def _plain(drawn: Iterable[RenderableType]) -> str:
    console = Console(highlight=False, width=terminal_width(), file=StringIO())
    console.print(Group(*drawn), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def _joined(lines: Iterable[Line]) -> Text:
    return Text("\n").join(line if isinstance(line, Text) else Text(line) for line in lines)
