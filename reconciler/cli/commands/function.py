# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet function`: the functions that gateways run, and how they are doing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.inputs.status_overviews import functions
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.function_text import listed_functions, shown_function

path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))


@click.group("function", cls=OrderedGroup)
def command() -> None:
    """Show the functions that gateways run.

    They use the status branches of a clone at PATH, or without one this gateway (--config). `tinyfleet node` shows
    where a commit places functions.
    """


@command.command("list")
@path_argument
@config_option
@output_option
def list_(path: Path | None, config_path: Path, output: str) -> None:
    """List all functions that gateways hold, one line each."""
    found = functions.overviews(path, config_path)
    show_result(output, [each.as_dict() for each in found], [listed_functions(found)])


@command.command("show", short_help="Show one function and its conditions")
@click.argument("name")
@path_argument
@config_option
@output_option
def show(name: str, path: Path | None, config_path: Path, output: str) -> None:
    """Show one function at each gateway that holds it: whether it compiles, and how its calls end."""
    found = functions.named(name, path, config_path)
    now = datetime.now(UTC)
    show_result(
        output, [each.as_dict() for each in found], [part for each in found for part in shown_function(each, now)]
    )
