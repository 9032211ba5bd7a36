# SPDX-License-Identifier: Apache-2.0
"""Charts as SVG: panels with axes, and marks in them. Equal data gives equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

INK, FAINT, RED, BLUE, GREEN, GREY = "#222", "#ddd", "#c0392b", "#2467a8", "#2e8b57", "#999"
_MARGIN_RIGHT, _GAP = 16, 46
_TITLE = 24
_FONT = 'font-family="sans-serif" font-size="12"'

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """The range of an axis, and the values that it names."""

    label: str
    least: float
    most: float
    ticks: Sequence[float]

    def part(self, value: float) -> float:
        """Return where a value is on the axis: 0 at its start, 1 at its end."""
        return (value - self.least) / (self.most - self.least)


@dataclass
class Panel:
    """A rectangle with two axes. Marks are drawn in the order in which they are added."""

    title: str
    x: Axis
    y: Axis
    height: int
    left: int = 70  # room for what is written on the y axis
    rows: Sequence[str] = ()  # names of the rows 0, 1, …, instead of numbers on the y axis
    marks: list[tuple[str, tuple[Point, ...], str]] = field(default_factory=list)

    def line(self, points: Iterable[Point], colour: str, width: float = 1) -> None:
        """Draw a line through points."""
        style = f'fill="none" stroke="{colour}" stroke-width="{width:g}"'
        self.marks.append(("line", tuple(points), style))

    def bar(self, left: Point, right: Point, colour: str) -> None:
        """Fill the rectangle between two opposite corners."""
        self.marks.append(("bar", (left, right), f'fill="{colour}"'))

    def dot(self, at: Point, colour: str, *, hollow: bool = False) -> None:
        """Draw a dot."""
        fill = "white" if hollow else colour
        self.marks.append(("dot", (at,), f'fill="{fill}" stroke="{colour}" stroke-width="1.5"'))

    def text(self, at: Point, text: str, colour: str = INK) -> None:
        """Write a few words to the right of a point."""
        self.marks.append((f"text {text}", (at,), f'fill="{colour}"'))


def draw(panels: Sequence[Panel], legend: Sequence[tuple[str, str]], width: int = 860) -> str:
    """Return the SVG of panels below each other, with a legend of colours and what they mean."""
    parts: list[str] = []
    top = _TITLE
    for number, (colour, meaning) in enumerate(legend):
        x = panels[0].left + number * 190
        parts.append(f'<rect x="{x}" y="{top - 12}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="{top - 3}">{escape(meaning)}</text>')
    for panel in panels:
        top += _TITLE
        parts += _panel(panel, top, width)
        top += panel.height + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" {_FONT}>\n'
        f'<rect width="{width}" height="{top}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(panel: Panel, top: int, width: int) -> Iterable[str]:
    inner = width - panel.left - _MARGIN_RIGHT

    def place(point: Point) -> Point:
        return (
            round(panel.left + inner * panel.x.part(point[0]), 1),
            round(top + panel.height * (1 - panel.y.part(point[1])), 1),
        )

    yield f'<text x="{panel.left}" y="{top - 8}" font-weight="bold">{escape(panel.title)}</text>'
    bottom, right = top + panel.height, panel.left + inner
    for tick in panel.x.ticks:
        x, _ = place((tick, panel.y.least))
        yield f'<path d="M{x} {top}V{bottom}" stroke="{FAINT}"/>'
        yield f'<text x="{x}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>'
    for tick in panel.y.ticks:
        _, y = place((panel.x.least, tick))
        name = escape(panel.rows[int(tick)]) if panel.rows else f"{tick:g}"
        yield f'<path d="M{panel.left} {y}H{right}" stroke="{FAINT}"/>'
        yield f'<text x="{panel.left - 6}" y="{y + 4}" text-anchor="end">{name}</text>'
    yield f'<text x="{right}" y="{bottom + 30}" text-anchor="end">{escape(panel.x.label)}</text>'
    middle = top + panel.height / 2
    turned = f'transform="rotate(-90 14 {middle:g})" x="14" y="{middle:g}" text-anchor="middle"'
    yield f"<text {turned}>{escape(panel.y.label)}</text>"
    for kind, points, style in panel.marks:
        yield _mark(kind, [place(point) for point in points], style)


def _mark(kind: str, at: Sequence[Point], style: str) -> str:
    match kind.partition(" "):
        case "line", _, _:
            return f'<path d="M{" ".join(f"{x:g},{y:g}" for x, y in at)}" {style}/>'
        case "bar", _, _:
            (x1, y1), (x2, y2) = at
            size = f'width="{abs(x2 - x1):.1f}" height="{abs(y2 - y1):.1f}"'
            return f'<rect x="{min(x1, x2):g}" y="{min(y1, y2):g}" {size} {style}/>'
        case "dot", _, _:
            return f'<circle cx="{at[0][0]:g}" cy="{at[0][1]:g}" r="4" {style}/>'
        case _, _, text:
            return f'<text x="{at[0][0] + 7:g}" y="{at[0][1] + 4:g}" {style}>{escape(text)}</text>'
