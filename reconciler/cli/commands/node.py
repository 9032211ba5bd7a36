# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet node`: which gateways are nodes, and what a commit gives them to do."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.node_text import listed_nodes, node_as_dict, nodes_of, shown_node
from reconciler.load import CheckCache

path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))


@click.group("node", cls=OrderedGroup)
def command() -> None:
    """Show which gateways offer operations, and what they hold.

    The answer follows from the commit at HEAD of a clone at PATH, or without one from the commit that this gateway
    enforces (--config). No gateway is asked; `tinyfleet function` shows how they are doing.
    """


@command.command("list")
@path_argument
@config_option
@output_option
def list_(path: Path | None, config_path: Path, output: str) -> None:
    """List the gateways that offer operations, one line each."""
    with open_context(path, config_path, CheckCache()) as context:
        found = nodes_of(context.desired)
    show_result(output, [node_as_dict(each) for each in found], [listed_nodes(found)])


@command.command("show", short_help="Show the functions and buckets of one gateway")
@click.argument("name")
@path_argument
@config_option
@output_option
def show(name: str, path: Path | None, config_path: Path, output: str) -> None:
    """Show the functions that one gateway holds, and its buckets."""
    with open_context(path, config_path, CheckCache()) as context:
        found = {each.name: each for each in nodes_of(context.desired)}
    require_known("node", name, found)
    show_result(output, node_as_dict(found[name]), shown_node(found[name]))
