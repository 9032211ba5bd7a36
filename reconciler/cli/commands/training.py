# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet training`: the state of trainings, what one would be made of, and a run that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import RenderableType

from reconciler import config
from reconciler.candidates import resolve_candidates, resolve_voters, types_of
from reconciler.cli import terminal
from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.kept_knowledge import open_knowledge
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import config_option, output_option, watch_option
from reconciler.cli.inputs.status_overviews import TrainingOverview, trainings
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import as_json, print_result
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.training_text import listed_trainings, planned_training, shown_training
from reconciler.compiler.training.run_folder import RunFolder
from reconciler.engine.trainings.gathering import gather_windows, layout_by_size
from reconciler.load import CheckCache
from reconciler.model import Candidate, Contest, Training, TrainingId
from reconciler.training.selection import count, shortage
from reconciler.training.trials import draw_trials

WATCH_S = 2.0

name_argument = click.argument("name")
path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))


@click.group("training", cls=OrderedGroup)
def command() -> None:
    """Show trainings, and start one.

    `list` and `show` use the status branches of a clone at PATH, or without one this gateway (--config). `run` uses
    the knowledge base of this gateway.
    """


@command.command("list")
@path_argument
@config_option
@output_option
@watch_option
def list_(path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """List all trainings, one line each."""
    _show(lambda: trainings.overviews(path, config_path), lambda found: [listed_trainings(found)], output, watch=watch)


@command.command("show", short_help="Show one training and its best models")
@name_argument
@path_argument
@config_option
@output_option
@watch_option
def show(name: str, path: Path | None, config_path: Path, output: str, *, watch: bool) -> None:
    """Show one training: its progress, what it waits for, and the best models of its last run."""
    _show(lambda: trainings.named(name, path, config_path), _shown, output, watch=watch)


@command.command("run", short_help="Start a training, or show what it would be made of")
@name_argument
@click.option("--dry-run", is_flag=True, help="Only show which models would be trained, and on what.")
@config_option
@output_option
@click.option("--watch", "-w", is_flag=True, help="Then show the progress, every two seconds until Ctrl-C.")
def run(name: str, config_path: Path, output: str, *, dry_run: bool, watch: bool) -> None:
    """Have the daemon of this gateway train now, without waiting for `when`.

    It begins at its next pass; `tinyfleet training show --watch` shows the progress. Models that a branch proposes are
    merged or declined first.
    """
    if dry_run and watch:
        raise click.UsageError("--dry-run trains nothing that --watch could show")
    settings = config.read(config_path)
    one = _resolved(name, config_path)
    if not dry_run:
        RunFolder(settings.state_dir, one.training.name).request()
        print_result(output, {"training": name, "asked": True}, f"{name} is trained at the next pass of the daemon")
        if watch:
            _show(lambda: trainings.named(name, None, config_path), _shown, output, watch=True)
        return
    with open_knowledge(settings) as knowledge:
        found = gather_windows(
            knowledge, one.contest, one.voters, one.training, layout_of=layout_by_size, now=datetime.now(UTC)
        )
    counts, trials = count(found.rows), draw_trials(one.training)
    missing = shortage(counts, one.training.data)
    fields = {
        "training": name,
        "contest": str(one.contest.name),
        "model": one.training.model,
        "windows": {
            "trainedNormal": counts.trained_normal,
            "trainedAnomalous": counts.trained_anomalous,
            "evaluatedNormal": counts.evaluated_normal,
            "evaluatedAnomalous": counts.evaluated_anomalous,
            "unusable": found.unusable,
        },
        "missing": missing,
        "trials": [{"number": trial.number, **trial.settings} for trial in trials],
    }
    show_result(output, fields, planned_training(counts, found.unusable, missing, trials))


@dataclass(frozen=True, slots=True)
class _ResolvedTraining:
    training: Training
    contest: Contest
    voters: frozenset[Candidate]


def _resolved(name: str, config_path: Path) -> _ResolvedTraining:
    """Resolve a training in the commit that the gateway enforces."""
    with open_context(None, config_path, CheckCache()) as context:
        desired = context.desired
    require_known("training", name, desired.trainings)
    training = desired.trainings[TrainingId(name)]
    contest = desired.contests[training.contest]
    rollout = desired.rollouts[contest.rollout]
    types = types_of(rollout, desired.devices.values(), desired.types)
    candidates = resolve_candidates(contest, rollout, desired.models, types)
    return _ResolvedTraining(training, contest, resolve_voters(contest, candidates, desired.models))


def _show(
    read: Callable[[], list[TrainingOverview]],
    draw: Callable[[list[TrainingOverview]], Iterable[RenderableType]],
    output: str,
    *,
    watch: bool,
) -> None:
    """Show trainings once, or refresh them until Ctrl-C."""

    def drawn() -> Iterable[RenderableType]:
        found = read()
        return [as_json(_fields(found))] if output == "json" else draw(found)

    if watch:
        terminal.watch(drawn, WATCH_S)
        return
    found = read()
    show_result(output, _fields(found), draw(found))


def _fields(found: Iterable[TrainingOverview]) -> object:
    return [each.as_dict() for each in found]


def _shown(found: Iterable[TrainingOverview]) -> Iterable[RenderableType]:
    now = datetime.now(UTC)
    for each in found:
        yield from shown_training(each, now)
