# SPDX-License-Identifier: Apache-2.0
"""Pipelines: the stages of each in a row, with who runs them, their times and what they move."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import NONE, amount, ready, section
from reconciler.page.page_model import PageModel, Urgency
from reconciler.report.pipeline_figures import PipelineFigures, PipelineStageFigures
from reconciler.report.pipeline_status import PipelineStatus


def pipelines(fleet: PageModel) -> Markup | None:
    """Show all pipelines; without one, nothing."""
    if not fleet.pipelines:
        return None
    cards = [_card(each, fleet) for each in sorted(fleet.pipelines, key=lambda each: each.name)]
    return section("Pipelines", "pipelines", element("div", *cards, class_="stack"))


def _card(status: PipelineStatus, fleet: PageModel) -> Markup:
    figures = fleet.pipeline(status)
    return element(
        "article",
        element("h3", status.name, " ", ready(status.ready)),
        element("p", f"{figures.model}. {status.ready.message}"),
        element("ol", *(_stage(each) for each in figures.stages), class_="stages") if figures.stages else None,
        element("p", _inputs(figures), class_="soft small") if figures.stages else None,
        class_="card",
    )


def _stage(stage: PipelineStageFigures) -> Markup:
    urgency = Urgency.GOOD if stage.on_first else Urgency.ACT if stage.runs_on is None else Urgency.WAIT
    return element("li", *_lines(stage, urgency), class_=f"stage {urgency}")


def _lines(stage: PipelineStageFigures, urgency: Urgency) -> Iterator[Child]:
    holder = stage.runs_on or "nothing"
    instead = "" if stage.on_first else f" for {stage.devices[0]}"
    yield element("b", f"{stage.number}: {holder}{instead}", class_=str(urgency))
    measured = f"{stage.measured_ms:,.0f} ms" if stage.measured_ms is not None else NONE
    yield element("div", f"{measured} measured, {stage.predicted_ms:,.0f} ms predicted", class_="small")
    yield element("div", f"{amount(stage.moved_bytes)} bytes", class_="small soft")


def _inputs(figures: PipelineFigures) -> Child:
    return joined([
        f"predicted latency {figures.latency_ms:,.0f} ms, period {figures.period_ms:,.0f} ms; ",
        f"{amount(figures.answered)} inputs answered, {amount(figures.stopped)} not, {amount(figures.waiting)} in work",
    ])  # fmt: skip
