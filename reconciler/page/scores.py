# SPDX-License-Identifier: Apache-2.0
"""The score distribution of each model over all devices that ran it: a histogram, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.charts import bin_name, histogram, share
from reconciler.page.html import Markup, element
from reconciler.page.layout import Column, amount, amount_of, section, table
from reconciler.page.page_model import ScoreFacts

_COLUMNS = (Column("Absolute score"), Column("Inferences", "number"), Column("Share", "number"))


def scores(found: Sequence[ScoreFacts]) -> Markup:
    """Show all models."""
    if not found:
        none = element("p", "No device has reported scores yet.", class_="soft")
        return section("Scores", "scores", none)
    figures = [_figure(each) for each in sorted(found, key=lambda each: each.model)]
    introduction = (
        "Scores of sampled inferences on all devices that ran each model. "
        "The label under a bar is its smallest absolute score."
    )
    return section(
        "Scores", "scores", element("p", introduction, class_="soft"), element("div", *figures, class_="scores")
    )


def _figure(each: ScoreFacts) -> Markup:
    return element(
        "figure",
        element("h3", each.model),
        histogram(each.histogram, _description(each)) if sum(each.histogram) else element("p", "No scores sampled."),
        element("figcaption", _caption(each), class_="small soft"),
        _table(each) if sum(each.histogram) else None,
        class_="card",
    )


def _caption(each: ScoreFacts) -> str:
    parts = [
        f"{amount_of(each.inferences, 'inference')} on {amount_of(each.devices, 'device')}",
        f"{amount_of(each.anomalies, 'anomaly', 'anomalies')} ({share(each.anomalies, each.inferences)})",
        amount_of(each.faults, "fault"),
        amount_of(each.resets, "reset"),
    ]
    if sum(each.histogram):
        parts.append(f"scores from {amount(each.min)} to {amount(each.max)}, {amount(each.mean)} on average")
    parts.append(f"age of these figures: {each.age}")
    return "; ".join(parts) + "."


def _description(each: ScoreFacts) -> str:
    total, bins = sum(each.histogram), len(each.histogram)
    bars = [f"{bin_name(index, bins)}: {share(number, total)}" for index, number in enumerate(each.histogram) if number]
    return f"Scores of {each.model}, from small to large. {', '.join(bars)}"


def _table(each: ScoreFacts) -> Markup:
    total, bins = sum(each.histogram), len(each.histogram)
    rows = [
        (bin_name(index, bins), amount(number), share(number, total)) for index, number in enumerate(each.histogram)
    ]
    return element("details", element("summary", "Show as a table"), table(f"Scores of {each.model}", _COLUMNS, rows))
