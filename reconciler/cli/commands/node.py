# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet node`: which gateways are nodes, and what a commit gives them to do."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.inputs.broker_client import broker_address
from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import as_json
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.node_text import capabilities_of, listed_nodes, node_as_dict, nodes_of, shown_node
from reconciler.cli.views.thing_description import thing_description
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


@command.command("show", short_help="Show the functions, buckets and built-ins of one gateway")
@click.argument("name")
@path_argument
@click.option(
    "--wot",
    "broker",
    metavar="HOST[:PORT]",
    help="Print a W3C Thing Description, as JSON, for clients that reach the gateway through this broker.",
)
@config_option
@output_option
def show(name: str, path: Path | None, broker: str | None, config_path: Path, output: str) -> None:
    """Show the functions that one gateway holds, its buckets, and the built-ins of its devices."""
    with open_context(path, config_path, CheckCache()) as context:
        found = {each.name: each for each in nodes_of(context.desired)}
        fleet = context.desired.fleet.name
    require_known("node", name, found)
    if broker is not None:
        click.echo(
            as_json(thing_description(fleet, name, capabilities_of(found[name]), broker_address(broker, "--wot")))
        )
        return
    show_result(output, node_as_dict(found[name]), shown_node(found[name]))
