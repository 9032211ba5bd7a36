# SPDX-License-Identifier: Apache-2.0
"""Links: their state, rates and line quality."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import NONE, Column, amount, pill, section, table
from reconciler.page.page_model import LinkFacts, Urgency

_COLUMNS = (
    Column("Link"),
    Column("State"),
    Column("Sent", "number"),
    Column("Received", "number"),
    Column("Unanswered", "number"),
    Column("Bit errors", "number"),
    Column("Frames corrected, lost", "number"),
)
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def links(found: Sequence[LinkFacts]) -> Markup:
    """Show all links."""
    if not found:
        none = element("p", "No link is open, or the daemon is not running.", class_="soft")
        return section("Links", "links", none)
    caption = "Rates over the last minute; totals since the daemon started"
    rows = [_row(each) for each in sorted(found, key=lambda each: each.name)]
    return section("Links", "links", element("div", table(caption, _COLUMNS, rows), class_="card"))


def _row(link: LinkFacts) -> Sequence[Child]:
    speed = element("span", f"{amount(link.baud)} baud", class_="soft small") if link.baud is not None else None
    return (
        joined([link.name, element("br"), speed]) if speed is not None else link.name,
        _state(link),
        _rate(link.sent_per_s, link.sent_bytes),
        _rate(link.received_per_s, link.received_bytes),
        _unanswered(link),
        noise(link),
        f"{amount(link.frames_corrected)}, {amount(link.frames_bad)}" if link.baud is not None else NONE,
    )


def _state(link: LinkFacts) -> Markup:
    parts: list[Child] = [pill("up", Urgency.GOOD) if link.trouble is None else pill("down", Urgency.ACT)]
    if link.trouble is not None:
        parts += [element("br"), link.trouble]
    if link.unknown_devices:
        parts += [element("br"), "Unknown devices, not served: ", ", ".join(link.unknown_devices)]
    return joined(parts)


def _rate(per_s: float | None, total: int) -> Markup:
    now = NONE if per_s is None else f"{_bytes(per_s)}/s"
    return joined([now, element("br"), element("span", f"{_bytes(total)} in total", class_="soft small")])


def _unanswered(link: LinkFacts) -> str:
    if not link.questions:
        return NONE
    return f"{100 * link.unanswered / link.questions:.1f} %"


def noise(link: LinkFacts) -> str:
    """Show the bit error rate of a line as one in how many."""
    if link.baud is None:
        return NONE
    if link.bit_error_rate <= 0:
        return "none"
    return f"1 in {amount(1 / link.bit_error_rate)}"


def _bytes(number: float) -> str:
    for factor, unit in _UNITS:
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} B"
