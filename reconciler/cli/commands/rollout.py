# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet rollout`: the progress of rollouts, wave by wave, with stuck devices and the history."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live

from reconciler.cli.inputs.fleet_source import CommandContext, open_context
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.views.rollout_json import as_dict
from reconciler.cli.views.rollout_text import listed, shown
from reconciler.load import CheckCache
from reconciler.model import RolloutId
from reconciler.review.rollout_state import RolloutOverview, rollout_overviews
from reconciler.review.transfer_volume import PayloadEstimate, TransferKind

WATCH_S = 2.0
PLAIN_WIDTH = 160  # without a terminal, so that nothing is cut

path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
watch_option = click.option("--watch", "-w", is_flag=True, help="Refresh every two seconds until Ctrl-C.")


@click.group("rollout", cls=OrderedGroup)
def command() -> None:
    """Show the progress of rollouts.

    With PATH, uses that clone of the fleet repository and its status branches. Without, uses the state of this
    gateway (--config), whether its daemon runs or not.
    """


@command.command("list")
@path_argument
@config_option
@output_option
@watch_option
def list_(path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """List all rollouts, one line each."""

    def draw(context: CommandContext, now: datetime) -> RenderableType:
        return listed(rollout_overviews(context.desired, context.reported, _unbuilt, now))

    def fields(context: CommandContext, now: datetime) -> object:
        return [as_dict(each) for each in rollout_overviews(context.desired, context.reported, _unbuilt, now)]

    _run(path, config_path, output, watch=watch, draw=draw, fields=fields)


@command.command("show", short_help="Show one rollout, wave by wave")
@click.argument("name", shell_complete=names_of("Rollout"))
@path_argument
@config_option
@output_option
@watch_option
def show(name: str, path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """Show one rollout: its waves, the time left, stuck devices and why, and the history."""

    def draw(context: CommandContext, now: datetime) -> RenderableType:
        return Group(*shown(_one(context, name, now), context.past(RolloutId(name)), now))

    def fields(context: CommandContext, now: datetime) -> object:
        return as_dict(_one(context, name, now), context.past(RolloutId(name)))

    _run(path, config_path, output, watch=watch, draw=draw, fields=fields)


def _one(context: CommandContext, name: str, now: datetime) -> RolloutOverview:
    require_known("rollout", name, context.desired.rollouts)
    return next(
        each for each in rollout_overviews(context.desired, context.reported, _unbuilt, now) if each.rollout == name
    )


def _run(  # noqa: PLR0913 - one parameter for each option, and the two views
    path: Path | None,
    config_path: Path,
    output: str,
    *,
    watch: bool,
    draw: Callable[[CommandContext, datetime], RenderableType],
    fields: Callable[[CommandContext, datetime], object],
) -> None:
    """Show rollouts once, or refresh them until Ctrl-C."""
    cache = CheckCache()  # unchanged files are read only once

    def drawn() -> RenderableType:
        with open_context(path, config_path, cache) as context:
            return draw(context, datetime.now(UTC))

    if output == "json":
        with open_context(path, config_path, cache) as context:
            click.echo(json.dumps(fields(context, datetime.now(UTC)), indent=2, ensure_ascii=False))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(PLAIN_WIDTH, shutil.get_terminal_size().columns))
    if not watch:
        console.print(drawn())
        return
    with Live(drawn(), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(WATCH_S)  # nothing signals a change of refs that another process writes
                live.update(drawn(), refresh=True)
        except KeyboardInterrupt:
            return


def _unbuilt(_transfer: TransferKind) -> PayloadEstimate | None:
    """Use no store: sizes are those that the models declare."""
    return None
