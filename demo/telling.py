# SPDX-License-Identifier: Apache-2.0
"""How the demo speaks: plain lines, and bars on a terminal where something takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PLAIN_WIDTH = 120  # where no terminal says how wide it is

Advance = Callable[[int], None]


class Teller:
    """Tells the story on standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PLAIN_WIDTH)

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self._console.print(f"\n[bold]{escape(title)}[/]")

    def act(self, text: str) -> None:
        """Tell what the demo does, as a person would do it."""
        self._console.print(f"  [cyan]>[/] {escape(text)}")

    def fact(self, text: str) -> None:
        """Tell what was read from the running system."""
        self._console.print(f"  [green]·[/] {escape(text)}")

    def last(self, text: str) -> None:
        """Say a line just so."""
        self._console.print(text, markup=False)

    def page(self, title: str, markdown: str) -> None:
        """Show a page as a forge would."""
        self._console.print(Panel(Markdown(markdown), title=title), soft_wrap=False)

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Show, on a terminal, what is waited for."""
        return self._console.status(f"waiting for {escape(what)}") if self._console.is_terminal else nullcontext()

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        """Show how far something is: `advance` takes how much is done."""
        if not self._console.is_terminal:
            yield self._lines(what, total)
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)

    def _lines(self, what: str, total: int) -> Advance:
        """Say each quarter once."""
        told = 0

        def advance(done: int) -> None:
            nonlocal told
            quarter = 4 * done // total
            if quarter > told:
                told = quarter
                self._console.print(f"    {escape(what)}: {done} of {total}")

        return advance
