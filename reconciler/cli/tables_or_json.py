# SPDX-License-Identifier: Apache-2.0
"""Prints tables for a terminal, or the same as JSON."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click
from rich.console import Console, RenderableType

from reconciler.cli.result import as_json

PLAIN_WIDTH = 160  # without a terminal, so that nothing is cut


def show_result(output: str, fields: object, drawn: Iterable[RenderableType]) -> None:
    """Print the fields as JSON, or the tables."""
    if output == "json":
        click.echo(as_json(fields))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(PLAIN_WIDTH, shutil.get_terminal_size().columns))
    for each in drawn:
        console.print(each)
