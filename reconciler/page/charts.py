# SPDX-License-Identifier: Apache-2.0
"""Pictures without a picture file: bars and histograms as SVG, each with words that say the same."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Markup, element
from reconciler.page.page_model import Mood

_WIDE = 1000  # units of a bar from end to end
_APART = 3
_LEAST = 8  # what is there at all is seen
_BIN, _GAP, _HIGH, _FOOT, _HEAD = 38, 8, 110, 20, 18
_BITS = 4  # a bin of a device's histogram holds scores of 4i … 4i + 3 bits (docs/specs/protocol.md)


def stacked(parts: Sequence[tuple[Mood, int]], words: str) -> Markup:
    """Draw shares of a whole beside each other."""
    total = sum(number for _, number in parts)
    drawn = [element("rect", class_="fill-track", width=_WIDE, height=10)] if not total else []
    left = 0
    for mood, number in parts:
        width = max(_LEAST, number * _WIDE // total) if number else 0
        if width:
            drawn.append(
                element("rect", class_=f"fill-{mood}", x=left, width=max(_LEAST - _APART, width - _APART), height=10)
            )
        left += width
    return _picture(words, f"0 0 {max(_WIDE, left)} 10", *drawn, stretched=True)


def progress(done: int, total: int, mood: Mood) -> Markup:
    """Draw how much is done. The words stand beside it in a cell, so nothing is read twice."""
    width = 0 if not total else max(_LEAST if done else 0, done * _WIDE // total)
    return element(
        "svg",
        element("rect", class_="fill-track", width=_WIDE, height=10),
        element("rect", class_=f"fill-{mood}", width=width, height=10) if width else None,
        viewBox=f"0 0 {_WIDE} 10",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
        focusable="false",
    )


def histogram(bars: Sequence[int], words: str) -> Markup:
    """Draw how scores are spread: one bar for each bin, its share above it, its least score below."""
    most, total = max(bars, default=0), sum(bars)
    drawn = []
    for index, number in enumerate(bars):
        high = round(number / most * _HIGH) if most else 0
        high = max(high, 2) if number else 0
        x, top = index * (_BIN + _GAP), _HEAD + _HIGH - high
        drawn.append(element("rect", class_="fill-wait", x=x, y=top, width=_BIN, height=high, rx=2))
        if number:
            drawn.append(_label(x, top - 5, share(number, total)))
        drawn.append(_label(x, _HEAD + _HIGH + 15, _short(_low(index))))
    wide, base = len(bars) * (_BIN + _GAP) - _GAP, _HEAD + _HIGH
    drawn.append(element("line", class_="stroke-line", x1=0, x2=wide, y1=base, y2=base))
    return _picture(words, f"0 0 {wide} {base + _FOOT}", *drawn)


def share(number: int, total: int) -> str:
    """Write a share; what is there is never none, and what is missing never all."""
    percent = 100 * number / total if total else 0
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99 < percent < 100 else f"{percent:.0f} %"  # noqa: PLR2004 - as written


def bin_name(index: int, bins: int) -> str:
    """Name a bin by the scores that it holds, without their sign."""
    if index == bins - 1:
        return f"{_short(_low(index))} or more"
    return f"{_short(_low(index))}\N{EN DASH}{_short((1 << (_BITS * index + _BITS - 1)) - 1)}"


def _low(index: int) -> int:
    """Return the least score of a bin."""
    return 0 if index == 0 else 1 << (_BITS * index - 1)


def _short(number: int) -> str:
    for factor, sign in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if number + 1 >= factor:
            return f"{(number + 1) // factor}{sign}"
    return str(number)


def _label(x: int, y: int, words: str) -> Markup:
    return element("text", words, class_="fill-soft", x=x + _BIN // 2, y=y, text_anchor="middle")


def _picture(words: str, box: str, *drawn: Markup, stretched: bool = False) -> Markup:
    ratio = "none" if stretched else None
    return element(
        "svg", *drawn, viewBox=box, preserveAspectRatio=ratio, role="img", aria_label=words, focusable="false"
    )
