# SPDX-License-Identifier: Apache-2.0
"""What all pages share: the document frame, tables, state labels and timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.page.html import Child, Markup, element, joined, raw
from reconciler.page.page_model import PageModel, Urgency, urgency_of
from reconciler.page.stylesheet import POLICY, STYLE
from reconciler.page.urls import PageUrls
from reconciler.report.conditions import Condition
from reconciler.report.remedies import REMEDIES
from reconciler.review.formatting import counted, elapsed

GENERATOR = "tinyfleet"
NONE = "\N{EN DASH}"
THIN = "\N{NARROW NO-BREAK SPACE}"
MARK = f'<meta name="generator" content="{GENERATOR}">'.encode()  # identifies our own pages
_SIGNS = {
    Urgency.GOOD: "\N{CHECK MARK}",
    Urgency.WAIT: "\N{HORIZONTAL ELLIPSIS}",
    Urgency.ACT: "!",
}  # never colour alone


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: str = ""  # a class of the style sheet


def document(title: str, fleet: PageModel, at: PageUrls, main: Iterable[Child], here: str = "") -> bytes:
    """Assemble a page."""
    name = fleet.gateway.name if fleet.gateway is not None else "gateway"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=GENERATOR),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", f"{title} · {name}" if title != name else title),
        element("link", rel="icon", href="data:,"),
        raw("style", STYLE),
    )
    body = element(
        "body",
        element("a", "Skip to content", class_="skip", href="#main"),
        element("header", element("div", element("b", name), _navigation(at, here), class_="wrap")),
        element("main", *main, id="main", class_="wrap"),
        element("footer", element("div", element("p", _as_of(fleet)), class_="wrap")),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n".encode()


def _navigation(at: PageUrls, here: str) -> Markup:
    pages = [("Overview", at.home), ("Devices", at.devices())]
    links = [
        element("li", element("a", name, href=url, aria_current="page" if name == here else None))
        for name, url in pages
        if url is not None
    ]
    return element("nav", element("ul", *links), aria_label="Pages")


def _as_of(fleet: PageModel) -> Markup:
    if fleet.live is None:
        return joined(["As committed by this gateway. Times are UTC."])
    as_of = joined(["As of ", stamp(fleet.live.at, seconds=True), " UTC."])
    if fleet.live.running:
        return as_of
    return joined([as_of, " The daemon is not running: this is the last known state."])


def section(title: str, name: str, *content: Child) -> Markup:
    """Make a section with a heading."""
    heading = element("h2", title, id=name)
    return element("section", heading, *content, aria_labelledby=name)


def table(caption: Child, columns: Sequence[Column], rows: Iterable[Sequence[Child]]) -> Markup:
    """Make a table; the first cell of a row is its heading. Explicit roles survive the layout for narrow screens."""
    head = [element("th", each.name, scope="col", role="columnheader", class_=each.kind or None) for each in columns]
    body = [element("tr", _cells(columns, row), role="row") for row in rows]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head, role="row"), role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        role="table",
    )


def _cells(columns: Sequence[Column], row: Sequence[Child]) -> Iterable[Markup]:
    for column, cell in zip(columns, row, strict=True):
        kind = column.kind or None
        if column is columns[0]:
            yield element("th", cell, scope="row", role="rowheader", class_=kind)
        else:
            yield element("td", cell, role="cell", class_=kind, data_name=column.name or None)


def pairs(of: Iterable[tuple[str, Child]]) -> Markup:
    """Make a list of names and values."""
    return element("dl", *(joined([element("dt", name), element("dd", value)]) for name, value in of), class_="pairs")


def pill(text: str, urgency: Urgency) -> Markup:
    """Show a state as a labelled pill."""
    return element("span", element("span", f"{_SIGNS[urgency]} ", aria_hidden="true"), text, class_=f"pill {urgency}")


def ready(condition: Condition) -> Markup:
    """Show a condition as its reason."""
    return pill(condition.reason, urgency_of(condition))


def remedy(reason: str, *, also: Child = None) -> Markup:
    """Show the remedy for a reason."""
    known = REMEDIES.get(reason)
    text = f"{known.text}." if known is not None else "see the message."
    return element("p", element("b", "What to do: "), text, also, class_="advice soft")


def stamp(timestamp: datetime, *, seconds: bool = False) -> Markup:
    """Show a timestamp."""
    shown = f"{timestamp:%Y-%m-%d %H:%M:%S}" if seconds else f"{timestamp:%Y-%m-%d %H:%M}"
    return element("time", shown, datetime=f"{timestamp:%Y-%m-%dT%H:%M:%SZ}")


def since(timestamp: datetime, fleet: PageModel, *, zone: str = "") -> Markup:
    """Show since when, and for how long if the current time is known."""
    if fleet.at is None:
        return joined([stamp(timestamp), zone])
    long = element("span", f" · {elapsed((fleet.at - timestamp).total_seconds())}", class_="soft")
    return joined([stamp(timestamp), zone, long])


def since_line(timestamp: datetime, fleet: PageModel) -> Markup:
    """Show the same as a paragraph."""
    return element("p", "Since ", since(timestamp, fleet, zone=" UTC"), class_="soft small")


def amount(number: float) -> str:
    """Write a number with narrow spaces between groups of digits."""
    return f"{number:,.0f}".replace(",", THIN)


def amount_of(number: int, singular: str, plural: str | None = None) -> str:
    """Write a number with its noun."""
    return counted(number, singular, plural).replace(",", THIN)
