# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet operation`: what a gateway can do, and requests for it, as a client of its broker."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import yaml

from reconciler.cli.inputs.broker_client import broker_options, connected_client
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import FILE, out_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.operation_text import (
    listed_operations,
    offered_commit,
    operation_as_dict,
    requested,
    values_of,
)


@click.group("operation", cls=OrderedGroup)
def command() -> None:
    """List the operations of a gateway, and request one.

    They connect to the broker of the gateway as a client, with a certificate of the role `client`.
    """


@command.command("list")
@broker_options
@output_option
def list_(broker: str, fleet: str, client: str, certificates: Path, output: str) -> None:
    """List the operations that the gateway offers, with their data."""
    with connected_client(broker, fleet, client, certificates) as connected:
        found = sorted(connected.operations(), key=lambda each: each.operation)
    show_result(output, [operation_as_dict(each) for each in found], [listed_operations(found)])


@command.command("request", short_help="Request an operation, and show its result")
@click.argument("name")
@click.option("--input", "input_path", type=FILE, help="A file with the bytes of the inputs, one after the other.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the result.",
)
@out_option("Write the bytes of the result to this file as well.")
@broker_options
@output_option
def request(  # noqa: PLR0913, PLR0917 - one for each option
    name: str,
    input_path: Path | None,
    timeout_s: float,
    out: Path | None,
    broker: str,
    fleet: str,
    client: str,
    certificates: Path,
    output: str,
) -> None:
    """Have the operation NAME performed, once, and show its outputs."""
    with connected_client(broker, fleet, client, certificates) as connected:
        known = {each.operation: each for each in connected.operations(timeout_s=timeout_s)}
        require_known("operation", name, known)
        data = input_path.read_bytes() if input_path is not None else b""
        done = connected.perform(name, data, timeout_s=timeout_s)
    if out is not None:
        out.write_bytes(done.data)
    values = values_of(known[name].outputs, done.data)
    fields = {
        "operation": name,
        "node": done.node,
        "microseconds": done.microseconds,
        "bytes": len(done.data),
        "outputs": values,
    }
    show_result(output, fields, [requested(fields)])


@command.command("change", short_help="Get the commit that would change a document")
@click.argument("kind")
@click.argument("name")
@click.argument("values", metavar="FIELD=VALUE...", nargs=-1, required=True)
@broker_options
@output_option
def change(  # noqa: PLR0913, PLR0917 - one for each option
    kind: str,
    name: str,
    values: tuple[str, ...],
    broker: str,
    fleet: str,
    client: str,
    certificates: Path,
    output: str,
) -> None:
    """Get the commit that would set these fields of the document KIND NAME, such as `Rollout pumps spec.suspend=true`.

    Nothing changes until a person merges it. The gateway pushes a branch if its key may sign the change; otherwise the
    result is a patch for `git apply`. `null` removes a field.
    """
    wanted = dict(map(_field, values))
    with connected_client(broker, fleet, client, certificates) as connected:
        made = connected.propose_change(kind, name, wanted)
    show_result(output, asdict(made), [offered_commit(made)])


def _field(text: str) -> tuple[tuple[str, ...], str | float | None]:
    path, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not FIELD=VALUE", param_hint="FIELD=VALUE")
    found = yaml.safe_load(value)
    return tuple(path.split(".")), found if found is None or isinstance(found, str | int | float) else value
