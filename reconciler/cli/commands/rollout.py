# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet rollout`: the progress of rollouts, wave by wave, with stuck devices and the history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli import terminal
from reconciler.cli.inputs.fleet_source import CommandContext, open_context
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import config_option, output_option, watch_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import as_json
from reconciler.cli.terminal import Line
from reconciler.cli.views.rollout_json import as_dict
from reconciler.cli.views.rollout_text import listed, shown
from reconciler.load import CheckCache
from reconciler.model import RolloutId
from reconciler.review.rollout_state import RolloutOverview, rollout_overviews
from reconciler.review.transfer_volume import PayloadEstimate, TransferKind

WATCH_S = 2.0

path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))


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

    def draw(context: CommandContext, now: datetime) -> list[Line]:
        found = rollout_overviews(context.desired, context.reported, _unbuilt, now)
        return [*listed(found, terminal.terminal_width())]

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

    def draw(context: CommandContext, now: datetime) -> list[Line]:
        one, past = _one(context, name, now), context.past(RolloutId(name))
        return [*shown(one, past, now, terminal.terminal_width())]

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
    draw: Callable[[CommandContext, datetime], list[Line]],
    fields: Callable[[CommandContext, datetime], object],
) -> None:
    """Show rollouts once, or refresh them until Ctrl-C."""
    cache = CheckCache()  # unchanged files are read only once

    def drawn() -> list[Line]:
        with open_context(path, config_path, cache) as context:
            now = datetime.now(UTC)
            return [as_json(fields(context, now))] if output == "json" else draw(context, now)

    if watch:
        terminal.watch(drawn, WATCH_S)
    else:
        terminal.print_lines(drawn())


def _unbuilt(_transfer: TransferKind) -> PayloadEstimate | None:
    """Use no store: sizes are those that the models declare."""
    return None
