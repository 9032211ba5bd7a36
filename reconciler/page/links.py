# SPDX-License-Identifier: Apache-2.0
"""Links: whether they work, how fast they are, and how noisy."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import NONE, Column, amount, pill, section, table
from reconciler.page.page_model import LinkFacts, Mood

_COLUMNS = (
    Column("Link"),
    Column("State"),
    Column("Sent", "number"),
    Column("Heard", "number"),
    Column("Unanswered", "number"),
    Column("Bit errors", "number"),
    Column("Frames mended, lost", "number"),
)
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def links(found: Sequence[LinkFacts]) -> Markup:
    """Tell of all links."""
    if not found:
        words = element("p", "No link is open, or no daemon works here at the moment.", class_="soft")
        return section("Links", "links", words)
    caption = "Rates of the last minute; in all since the daemon began"
    rows = [_row(each) for each in sorted(found, key=lambda each: each.name)]
    return section("Links", "links", element("div", table(caption, _COLUMNS, rows), class_="card"))


def _row(link: LinkFacts) -> Sequence[Child]:
    speed = element("span", f"{amount(link.baud)} baud", class_="soft small") if link.baud is not None else None
    return (
        joined([link.name, element("br"), speed]) if speed is not None else link.name,
        _state(link),
        _rate(link.sent_per_s, link.sent_bytes),
        _rate(link.heard_per_s, link.heard_bytes),
        _unanswered(link),
        noise(link),
        f"{amount(link.frames_corrected)}, {amount(link.frames_bad)}" if link.baud is not None else NONE,
    )


def _state(link: LinkFacts) -> Markup:
    told: list[Child] = [pill("up", Mood.GOOD) if link.trouble is None else pill("down", Mood.ACT)]
    if link.trouble is not None:
        told += [element("br"), link.trouble]
    if link.strangers:
        told += [element("br"), "Not in Git, not served: ", ", ".join(link.strangers)]
    return joined(told)


def _rate(per_s: float | None, whole: int) -> Markup:
    now = NONE if per_s is None else f"{_bytes(per_s)}/s"
    return joined([now, element("br"), element("span", f"{_bytes(whole)} in all", class_="soft small")])


def _unanswered(link: LinkFacts) -> str:
    if not link.questions:
        return NONE
    return f"{100 * link.silences / link.questions:.1f} %"


def noise(link: LinkFacts) -> str:
    """Say how many of a line's bits arrive wrong: one in so many."""
    if link.baud is None:
        return NONE
    if link.bit_error_rate <= 0:
        return "none seen"
    return f"1 in {amount(1 / link.bit_error_rate)}"


def _bytes(number: float) -> str:
    for factor, unit in _UNITS:
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} B"
