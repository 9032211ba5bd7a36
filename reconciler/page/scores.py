# SPDX-License-Identifier: Apache-2.0
"""How the scores of each model are spread, over all devices that ran it: a picture, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.charts import bin_name, histogram, share
from reconciler.page.html import Markup, element
from reconciler.page.layout import Column, amount, counted, section, table
from reconciler.page.page_model import ScoreFacts

_COLUMNS = (Column("Score, without its sign"), Column("Inferences", "number"), Column("Share", "number"))


def scores(found: Sequence[ScoreFacts]) -> Markup:
    """Draw all models."""
    if not found:
        none = element("p", "No device has told of its scores yet.", class_="soft")
        return section("Scores", "scores", none)
    figures = [_figure(each) for each in sorted(found, key=lambda each: each.model)]
    words = (
        "What the models answered in sampled inferences, on all devices that ran them. "
        "Under each bar stands its least score, without sign."
    )
    return section("Scores", "scores", element("p", words, class_="soft"), element("div", *figures, class_="scores"))


def _figure(each: ScoreFacts) -> Markup:
    return element(
        "figure",
        element("h3", each.model),
        histogram(each.histogram, _words(each)) if sum(each.histogram) else element("p", "No scores were sampled."),
        element("figcaption", _caption(each), class_="small soft"),
        _table(each) if sum(each.histogram) else None,
        class_="card",
    )


def _caption(each: ScoreFacts) -> str:
    told = [
        f"{counted(each.inferences, 'inference', 'inferences')} on {counted(each.devices, 'device', 'devices')}",
        f"{counted(each.anomalies, 'anomaly', 'anomalies')} ({share(each.anomalies, each.inferences)})",
        counted(each.faults, "fault", "faults"),
        counted(each.resets, "reset", "resets"),
    ]
    if sum(each.histogram):
        told.append(f"scores from {amount(each.least)} to {amount(each.most)}, {amount(each.mean)} on average")
    return "; ".join(told) + "."


def _words(each: ScoreFacts) -> str:
    total, bins = sum(each.histogram), len(each.histogram)
    bars = [f"{bin_name(index, bins)}: {share(number, total)}" for index, number in enumerate(each.histogram) if number]
    return f"Scores of {each.model}, from small to large. {', '.join(bars)}"


def _table(each: ScoreFacts) -> Markup:
    total, bins = sum(each.histogram), len(each.histogram)
    rows = [
        (bin_name(index, bins), amount(number), share(number, total)) for index, number in enumerate(each.histogram)
    ]
    return element(
        "details", element("summary", "The same as a table"), table(f"Scores of {each.model}", _COLUMNS, rows)
    )
