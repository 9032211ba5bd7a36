# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet rollout`: how far rollouts are, wave by wave, what is stuck and why, and what became of the last ones."""

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

from reconciler.cli.inputs.context import CommandContext, open_context
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.views.rollout_text import as_dict, listed, shown
from reconciler.load import CheckCache
from reconciler.model import RolloutId
from reconciler.review.rollout_state import RolloutPicture, rollout_pictures
from reconciler.review.transfer_volume import PayloadEstimate, TransferKind

WATCH_S = 2.0
PLAIN_WIDTH = 160  # of what is no terminal: nothing is cut there

path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
watch_option = click.option("--watch", "-w", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")


@click.group("rollout", short_help="How far rollouts are, what is stuck, and why")
def command() -> None:
    """How far rollouts are, what is stuck, and why.

    With PATH, of a clone of the fleet's repository, from its status branches. Without, of this gateway
    (--config), from what its daemon knows; whether one works at the moment makes no difference.
    """


@command.command("list", short_help="Show all rollouts")
@path_argument
@config_option
@output_option
@watch_option
def list_(path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """Show all rollouts, one line each."""

    def draw(at: CommandContext, now: datetime) -> RenderableType:
        return listed(rollout_pictures(at.desired, at.evidence, _unbuilt, now))

    def tell(at: CommandContext, now: datetime) -> object:
        return [as_dict(each) for each in rollout_pictures(at.desired, at.evidence, _unbuilt, now)]

    _run(path, config_path, output, watch=watch, draw=draw, tell=tell)


@command.command("show", short_help="Show one rollout, wave by wave")
@click.argument("name")
@path_argument
@config_option
@output_option
@watch_option
def show(name: str, path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """Show one rollout: its waves, time left, what is stuck and why, and what became of the last ones."""

    def draw(at: CommandContext, now: datetime) -> RenderableType:
        return Group(*shown(_one(at, name, now), at.past(RolloutId(name)), now))

    def tell(at: CommandContext, now: datetime) -> object:
        return as_dict(_one(at, name, now), at.past(RolloutId(name)))

    _run(path, config_path, output, watch=watch, draw=draw, tell=tell)


def _one(at: CommandContext, name: str, now: datetime) -> RolloutPicture:
    if name not in at.desired.rollouts:
        known = ", ".join(sorted(at.desired.rollouts)) or "none"
        raise click.ClickException(f"there is no rollout {name}; there is {known}")
    return next(each for each in rollout_pictures(at.desired, at.evidence, _unbuilt, now) if each.rollout == name)


def _run(  # noqa: PLR0913 - one parameter for each thing that this depends on
    path: Path | None,
    config_path: Path,
    output: str,
    *,
    watch: bool,
    draw: Callable[[CommandContext, datetime], RenderableType],
    tell: Callable[[CommandContext, datetime], object],
) -> None:
    """Show it once, or again and again."""
    cache = CheckCache()  # what was read once is not read again while nothing changes

    def drawn() -> RenderableType:
        with open_context(path, config_path, cache) as at:
            return draw(at, datetime.now(UTC))

    if output == "json":
        with open_context(path, config_path, cache) as at:
            click.echo(json.dumps(tell(at, datetime.now(UTC)), indent=2, ensure_ascii=False))
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
                time.sleep(WATCH_S)  # refs that another process writes tell nobody
                live.update(drawn(), refresh=True)
        except KeyboardInterrupt:
            return


def _unbuilt(_sort: TransferKind) -> PayloadEstimate | None:
    """Look into no store: times are those of the models' own words."""
    return None
