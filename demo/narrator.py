# SPDX-License-Identifier: Apache-2.0
"""The output of the demo: plain lines, and progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PLAIN_WIDTH = 120  # without a terminal

Advance = Callable[[int], None]


class Narrator:
    """Writes the story to standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PLAIN_WIDTH)

    def heading(self, title: str) -> None:
        """Write the heading of a scene."""
        self._console.print(f"\n[bold]{escape(title)}[/]")

    def action(self, text: str) -> None:
        """Write what the demo does in place of a person."""
        self._console.print(f"  [cyan]>[/] {escape(text)}")

    def observe(self, text: str) -> None:
        """Write what was read from the running system."""
        self._console.print(f"  [green]·[/] {escape(text)}")

    def line(self, text: str) -> None:
        """Write a plain line."""
        self._console.print(text, markup=False)

    def page(self, title: str, markdown: str) -> None:
        """Show a Markdown page as a forge does."""
        self._console.print(Panel(Markdown(markdown), title=title), soft_wrap=False)

    def waiting(self, event: str) -> AbstractContextManager[object]:
        """Show on a terminal what the demo is waiting for."""
        return self._console.status(f"waiting for {escape(event)}") if self._console.is_terminal else nullcontext()

    @contextmanager
    def bar(self, task: str, total: int) -> Iterator[Advance]:
        """Show progress; the yielded function takes how much is done."""
        if not self._console.is_terminal:
            yield self._quarters(task, total)
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            bar = progress.add_task(task, total=total)
            yield lambda done: progress.update(bar, completed=done)

    def _quarters(self, task: str, total: int) -> Advance:
        """Write one line for each completed quarter."""
        written = 0

        def advance(done: int) -> None:
            nonlocal written
            quarter = 4 * done // total
            if quarter > written:
                written = quarter
                self._console.print(f"    {escape(task)}: {done} of {total}")

        return advance
