# SPDX-License-Identifier: Apache-2.0
"""Trainings: a row for each, with how far its trials are and the models that it has made."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.charts import progress_bar
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import NONE, Column, amount, ready, section, since, table
from reconciler.page.page_model import PageModel, Urgency
from reconciler.page.urls import PageUrls
from reconciler.report.training_figures import TrainedFigures, TrainingFigures
from reconciler.report.training_status import TrainingStatus

_ALL = (
    Column("Training"),
    Column("Trials", "done"),
    Column("New windows", "number"),
    Column("Best model", "name"),
    Column("State"),
    Column("Since (UTC)", "time"),
    Column("Message"),
)


def trainings(fleet: PageModel, at: PageUrls) -> Markup | None:
    """Show all trainings; without one, nothing."""
    if not fleet.trainings:
        return None
    rows = [_row(each, fleet, at) for each in sorted(fleet.trainings, key=lambda each: each.name)]
    return section(
        "Trainings", "trainings", element("div", table("Trainings of this gateway", _ALL, rows), class_="card")
    )


def _row(status: TrainingStatus, fleet: PageModel, at: PageUrls) -> Sequence[Child]:
    figures, condition = fleet.training(status), status.ready
    return (
        joined([figures.training, element("div", "for ", _contest(figures, at), class_="small")]),
        _bar(figures),
        f"{amount(figures.new_windows)} of {amount(figures.wanted_windows)}",
        _best(figures),
        ready(condition),
        since(condition.since, fleet),
        condition.message,
    )


def _contest(figures: TrainingFigures, at: PageUrls) -> Markup:
    return element("a", figures.contest, href=at.contest(figures.contest))


def _bar(figures: TrainingFigures) -> Markup:
    done, total = figures.done, figures.trials
    urgency = Urgency.GOOD if done >= total else Urgency.WAIT
    failed = f", {amount(figures.failed)} failed" if figures.failed else ""
    figure = element("span", f"{amount(done)} of {amount(total)}{failed}", class_="figure")
    return joined([figure, progress_bar(min(done, total), total, urgency)])


def _best(figures: TrainingFigures) -> Child:
    if not figures.best:
        return NONE
    best: TrainedFigures = figures.best[0]
    found = "" if best.detection is None else f", finds {best.detection:.1f} %"
    return f"{best.model}: {best.false_alarms:.2f} {figures.metric}{found}, {amount(best.pack_bytes)} bytes"
