# SPDX-License-Identifier: Apache-2.0
"""Trainings, and what one would be made of, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.inputs.status_overviews import TrainingOverview
from reconciler.cli.views.contest_text import plain_table
from reconciler.report.conditions import Status
from reconciler.report.training_figures import TrainedFigures, TrainingFigures
from reconciler.review.formatting import ago
from reconciler.training.selection import RowCounts
from reconciler.training.trials import Trial

_SETTINGS = ("trees", "samples", "maxDepth", "scheme", "decide", "epochs", "batchSize", "learningRate")


def listed_trainings(found: Sequence[TrainingOverview]) -> RenderableType:
    """Show all trainings."""
    if not found:
        return Text("no trainings")
    table = plain_table("TRAINING", "GATEWAY", "MODEL", "STATE", "TRIALS", "NEW WINDOWS", "MESSAGE")
    for each in found:
        figures = each.figures
        table.add_row(
            figures.training, each.gateway, figures.model, figures.state, _trials(figures),
            f"{figures.new_windows:,} of {figures.wanted_windows:,}", Text(each.status.ready.message),
        )  # fmt: skip
    return table


def shown_training(each: TrainingOverview, now: datetime) -> Iterator[RenderableType]:
    """Show one training."""
    figures = each.figures
    yield Text.assemble((figures.training, "bold"), f"  {figures.model}  {figures.state}")
    facts = plain_table("", "")
    began = f"{figures.began_at:%Y-%m-%d %H:%M UTC}, {ago(figures.began_at, now)}" if figures.began_at else "-"
    rows = [
        ("gateway", each.gateway),
        ("contest", figures.contest),
        ("last training", f"{began}: {figures.result}" if figures.began_at else began),
        ("trials", _trials(figures)),
        ("windows", _windows(figures.counts) if figures.counts is not None else "-"),
        ("new windows", f"{figures.new_windows:,} of {figures.wanted_windows:,}"),
        ("waits until", f"{figures.until:%Y-%m-%d %H:%M UTC}" if figures.until else "-"),
    ]
    for row in rows:
        facts.add_row(*row)
    yield facts
    yield Text()
    conditions = plain_table("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")
    for condition in each.status.conditions[1:]:
        style = "" if condition.status is Status.TRUE else "yellow"
        since = f"{ago(condition.since, now)}"
        conditions.add_row(
            condition.type, Text(condition.status.value, style), condition.reason, since, Text(condition.message)
        )
    yield conditions
    if figures.best:
        yield Text()
        yield _best(figures)


def planned_training(
    counts: RowCounts, unusable: int, missing: str, trials: Sequence[Trial]
) -> Iterator[RenderableType]:
    """Show what would be trained, and on what."""
    yield Text(_windows(counts))
    if unusable:
        yield Text(f"{unusable:,} more have a truth, but no window of this size")
    if missing:
        yield Text(f"nothing would be trained: {missing}", "yellow")
    yield Text()
    table = plain_table("TRIAL", "METHOD", "SETTINGS", "MADE OF", "SEED")
    for trial in trials:
        table.add_row(*_trial(trial))
    yield table


def _trial(trial: Trial) -> Iterable[str]:
    made = trial.settings
    settings = ", ".join(f"{made[name]} {name}" for name in _SETTINGS if name in made)
    made_of = made.get("source") or ", ".join(made["features"]) or "-"
    return str(trial.number), str(made["method"]), settings, str(made_of), str(trial.seed)


def _best(figures: TrainingFigures) -> RenderableType:
    table = plain_table("MODEL", "FALSE ALARMS", "DETECTION", "THRESHOLD", "BYTES", "MADE OF")
    for each in figures.best:
        table.add_row(*_model(each))
    return table


def _model(each: TrainedFigures) -> Iterable[str]:
    detection = "-" if each.detection is None else f"{each.detection:.1f} %"
    threshold = "-" if each.threshold is None else f"{each.threshold:g}"
    return each.model, f"{each.false_alarms:.2f}", detection, threshold, f"{each.pack_bytes:,}", each.text


def _trials(figures: TrainingFigures) -> str:
    failed = f", {figures.failed} failed" if figures.failed else ""
    return f"{figures.done} of {figures.trials}{failed}"


def _windows(counts: RowCounts) -> str:
    return (
        f"{counts.trained_normal:,} normal and {counts.trained_anomalous:,} anomalous windows to train on, "
        f"{counts.evaluated_normal:,} and {counts.evaluated_anomalous:,} to evaluate on"
    )
