# SPDX-License-Identifier: Apache-2.0
"""What all pages share: the document around them, tables, states in a word, moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.page.html import Child, Markup, element, joined, raw
from reconciler.page.page_model import Mood, PageModel, mood_of
from reconciler.page.stylesheet import POLICY, STYLE
from reconciler.page.urls import Addresses
from reconciler.report.conditions import Condition
from reconciler.report.remedies import REMEDIES

GENERATOR = "tinyfleet"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
DIGITS = 12
NONE = "\N{EN DASH}"
MARK = f'<meta name="generator" content="{GENERATOR}">'.encode()  # by which a page of ours is known
_SIGNS = {
    Mood.GOOD: "\N{CHECK MARK}",
    Mood.WAIT: "\N{HORIZONTAL ELLIPSIS}",
    Mood.ACT: "!",
}  # colour alone tells nothing


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: str = ""  # a class of the style sheet


def document(title: str, fleet: PageModel, at: Addresses, main: Iterable[Child], here: str = "") -> bytes:
    """Put a page together."""
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
        element("a", "To the content", class_="skip", href="#main"),
        element("header", element("div", element("b", name), _navigation(at, here), class_="wrap")),
        element("main", *main, id="main", class_="wrap"),
        element("footer", element("div", element("p", _as_of(fleet)), class_="wrap")),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n".encode()


def _navigation(at: Addresses, here: str) -> Markup:
    places = [("Overview", at.home), ("Devices", at.devices())]
    links = [
        element("li", element("a", name, href=where, aria_current="page" if name == here else None))
        for name, where in places
        if where is not None
    ]
    return element("nav", element("ul", *links), aria_label="Pages")


def _as_of(fleet: PageModel) -> Markup:
    if fleet.present is None:
        return joined(["As this gateway committed it. Times are UTC."])
    moment = joined(["As of ", stamp(fleet.present.at, seconds=True), " UTC."])
    if fleet.present.running:
        return moment
    return joined([moment, " No daemon works here at the moment: this is what was known last."])


def section(title: str, name: str, *content: Child) -> Markup:
    """Make a part of a page, with a heading that names it."""
    heading = element("h2", title, id=name)
    return element("section", heading, *content, aria_labelledby=name)


def table(caption: Child, columns: Sequence[Column], rows: Iterable[Sequence[Child]]) -> Markup:
    """Make a table; the first cell of a row is its heading. The roles outlive a layout for narrow screens."""
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


def pill(word: str, mood: Mood) -> Markup:
    """Show a state in a word."""
    return element("span", element("span", f"{_SIGNS[mood]} ", aria_hidden="true"), word, class_=f"pill {mood}")


def ready(condition: Condition) -> Markup:
    """Show a condition as its reason."""
    return pill(condition.reason, mood_of(condition))


def advice(reason: str, *, also: Child = None) -> Markup:
    """Say what to do about a reason."""
    known = REMEDIES.get(reason)
    words = f"{known.text}." if known is not None else "see the message."
    return element("p", element("b", "What to do: "), words, also, class_="advice soft")


def stamp(moment: datetime, *, seconds: bool = False) -> Markup:
    """Show a moment."""
    shown = f"{moment:%Y-%m-%d %H:%M:%S}" if seconds else f"{moment:%Y-%m-%d %H:%M}"
    return element("time", shown, datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def since(moment: datetime, fleet: PageModel, *, zone: str = "") -> Markup:
    """Show since when, and for how long where that is known."""
    if fleet.at is None:
        return joined([stamp(moment), zone])
    long = element("span", f" · {lasted((fleet.at - moment).total_seconds())}", class_="soft")
    return joined([stamp(moment), zone, long])


def since_line(moment: datetime, fleet: PageModel) -> Markup:
    """Show the same as a line of its own."""
    return element("p", "Since ", since(moment, fleet, zone=" UTC"), class_="soft small")


def lasted(seconds: float) -> str:
    """Say roughly how long."""
    seconds = max(0.0, seconds)
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def amount(number: float) -> str:
    """Write a number so that it can be read."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: int, one: str, more: str) -> str:
    """Write a number with its noun."""
    return f"{amount(number)} {one if number == 1 else more}"
