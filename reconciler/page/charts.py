# SPDX-License-Identifier: Apache-2.0
"""Bars and histograms as inline SVG, each with an equivalent text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reconciler.page.html import Markup, element
from reconciler.page.page_model import Urgency

_WIDTH = 1000  # units of a whole bar
_GAP_BETWEEN = 3
_MIN_WIDTH = 8  # so that even the smallest share is visible
_BIN, _GAP, _HEIGHT, _FOOT, _HEAD = 38, 8, 110, 20, 18
_RING, _RADIUS, _RING_GAP = 40, 15, 2
_BITS = 4  # a bin of a device's histogram holds scores of 4i … 4i + 3 bits (docs/specs/protocol.md)


def stacked_bar(parts: Sequence[tuple[Urgency, int]], label: str) -> Markup:
    """Draw the shares of a whole next to each other."""
    total = sum(number for _, number in parts)
    drawn = [element("rect", class_="fill-track", width=_WIDTH, height=10)] if not total else []
    left = 0
    for urgency, number in parts:
        width = max(_MIN_WIDTH, number * _WIDTH // total) if number else 0
        if width:
            drawn.append(
                element(
                    "rect",
                    class_=f"fill-{urgency}",
                    x=left,
                    width=max(_MIN_WIDTH - _GAP_BETWEEN, width - _GAP_BETWEEN),
                    height=10,
                )
            )
        left += width
    return _svg(label, f"0 0 {max(_WIDTH, left)} 10", *drawn, stretched=True)


def progress_bar(done: int, total: int, urgency: Urgency) -> Markup:
    """Draw how much is done. It is hidden from screen readers: the cell has the figures as text."""
    width = 0 if not total else max(_MIN_WIDTH if done else 0, done * _WIDTH // total)
    return element(
        "svg",
        element("rect", class_="fill-track", width=_WIDTH, height=10),
        element("rect", class_=f"fill-{urgency}", width=width, height=10) if width else None,
        viewBox=f"0 0 {_WIDTH} 10",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
        focusable="false",
    )


def rank_bar(rank: int, highest: int) -> Markup:
    """Draw a rank to the right of a middle line, or below 0 to its left. The cell has the figure as text."""
    half = _WIDTH // 2
    width = max(_MIN_WIDTH, abs(rank) * half // highest) if rank and highest else 0
    return element(
        "svg",
        element("rect", class_="fill-track", width=_WIDTH, height=10),
        element(
            "rect", class_=f"fill-{'good' if rank > 0 else 'act'}", x=half if rank > 0 else half - width, width=width,
            height=10,
        ) if width else None,
        element("rect", class_="fill-soft", x=half - 2, width=4, height=10),
        viewBox=f"0 0 {_WIDTH} 10",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
        focusable="false",
    )  # fmt: skip


def ring(parts: Sequence[Urgency], label: str) -> Markup:
    """Draw equal parts of a circle, clockwise from the top."""
    length = round(2 * math.pi * _RADIUS) // len(parts)
    drawn = [
        element(
            "circle", class_=f"stroke-{urgency}", cx=_RING // 2, cy=_RING // 2, r=_RADIUS,
            stroke_dasharray=f"{length - _RING_GAP} {len(parts) * length}",
            transform=f"rotate({angle} {_RING // 2} {_RING // 2})",
        )
        for urgency, angle in zip(parts, range(-90, 270, 360 // len(parts)), strict=True)
    ]  # fmt: skip
    return element("svg", *drawn, viewBox=f"0 0 {_RING} {_RING}", class_="ring", role="img", aria_label=label)


def histogram(bars: Sequence[int], label: str) -> Markup:
    """Draw the distribution of scores: one bar per bin, with its share above and its smallest score below."""
    highest, total = max(bars, default=0), sum(bars)
    drawn = []
    for index, number in enumerate(bars):
        height = round(number / highest * _HEIGHT) if highest else 0
        height = max(height, 2) if number else 0
        x, top = index * (_BIN + _GAP), _HEAD + _HEIGHT - height
        drawn.append(element("rect", class_="fill-wait", x=x, y=top, width=_BIN, height=height, rx=2))
        if number:
            drawn.append(_label(x, top - 5, share(number, total)))
        drawn.append(_label(x, _HEAD + _HEIGHT + 15, _abbreviated(_low(index))))
    width, base = len(bars) * (_BIN + _GAP) - _GAP, _HEAD + _HEIGHT
    drawn.append(element("line", class_="stroke-line", x1=0, x2=width, y1=base, y2=base))
    return _svg(label, f"0 0 {width} {base + _FOOT}", *drawn)


def share(number: int, total: int) -> str:
    """Write a share: 0 % and 100 % only if they are exact."""
    percent = 100 * number / total if total else 0
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99 < percent < 100 else f"{percent:.0f} %"  # noqa: PLR2004 - percent


def bin_name(index: int, bins: int) -> str:
    """Return the label of a bin: the absolute scores that it counts."""
    if index == bins - 1:
        return f"{_abbreviated(_low(index))} or more"
    return f"{_abbreviated(_low(index))}\N{EN DASH}{_abbreviated((1 << (_BITS * index + _BITS - 1)) - 1)}"


def _low(index: int) -> int:
    """Return the smallest score of a bin."""
    return 0 if index == 0 else 1 << (_BITS * index - 1)


def _abbreviated(number: int) -> str:
    for factor, sign in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if number + 1 >= factor:
            return f"{(number + 1) // factor}{sign}"
    return str(number)


def _label(x: int, y: int, text: str) -> Markup:
    return element("text", text, class_="fill-soft", x=x + _BIN // 2, y=y, text_anchor="middle")


def _svg(label: str, box: str, *drawn: Markup, stretched: bool = False) -> Markup:
    ratio = "none" if stretched else None
    return element(
        "svg", *drawn, viewBox=box, preserveAspectRatio=ratio, role="img", aria_label=label, focusable="false"
    )
