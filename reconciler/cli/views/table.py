# SPDX-License-Identifier: Apache-2.0
"""The one style of tables: columns without rules, upper-case headings, and the prose in the last column.

A table fits any width. As the room shrinks, the last column is wrapped, then it moves to lines of its own, and
finally each row becomes a list of its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

GAP = 2
INDENT = 2
PROSE_COLUMNS = 24  # a narrower column of prose is hard to read
HEADING = "bold"

Cell = str | Text
Row = Sequence[Cell]


def table(headings: Sequence[str], rows: Iterable[Row], width: int) -> list[Text]:
    """Return the lines of a table. Without headings, only those of its rows."""
    cells = [[_text(cell) for cell in row] for row in rows]
    head = [Text(heading.upper(), HEADING) for heading in headings]
    every = [head, *cells] if headings else cells
    if not every:
        return []
    widths = [max(_columns(row[column]) for row in every) for column in range(len(every[0]))]
    before = sum(each + GAP for each in widths[:-1])
    if before + widths[-1] <= width or before + PROSE_COLUMNS <= width:
        return [line for row in every for line in _beside(row, widths, width - before)]
    if before - GAP <= width:
        return [line for row in every for line in _below(row, widths, width)]
    return [line for row in cells for line in _listed(head, row, width)]


def _beside(row: list[Text], widths: list[int], room: int) -> Iterator[Text]:
    """Keep the prose in its column."""
    first, *more = _wrapped(row[-1], max(room, 1))
    yield _line([*row[:-1], first], widths)
    blank = [Text()] * (len(row) - 1)
    yield from (_line([*blank, each], widths) for each in more)


def _below(row: list[Text], widths: list[int], width: int) -> Iterator[Text]:
    """Move the prose to lines of its own."""
    yield _line(row[:-1], widths)
    yield from _indented(row[-1], INDENT, width)


def _listed(head: list[Text], row: list[Text], width: int) -> Iterator[Text]:
    """List the cells of a row, each with its heading."""
    yield from _wrapped(row[0], width)
    for index, cell in enumerate(row[1:], start=1):
        if cell.plain:
            label = f"{head[index].plain.lower()} " if head and head[index].plain else ""
            yield from _indented(Text.assemble(label, cell), INDENT, width)


def _indented(cell: Text, by: int, width: int) -> Iterator[Text]:
    if cell.plain:
        yield from (Text(" " * by).append_text(each) for each in _wrapped(cell, max(width - by, 1)))


def _wrapped(cell: Text, room: int) -> list[Text]:
    """Wrap the lines of a cell at spaces; a word that is too long is broken."""
    return [part for line in cell.split() or [cell] for part in _wrapped_line(line, room)]


def _wrapped_line(cell: Text, room: int) -> list[Text]:
    if cell.cell_len <= room:
        return [cell]
    lines = [""]
    for word in cell.plain.split():
        for piece in _pieces(word, room):
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if cell_len(joined) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return [Text(line, cell.style) for line in lines]


def _pieces(word: str, room: int) -> Iterator[str]:
    piece = ""
    for character in word:
        if piece and cell_len(piece + character) > room:
            yield piece
            piece = ""
        piece += character
    yield piece


def _line(row: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(row, widths, strict=False):
        line.append_text(cell).append(" " * (width - cell.cell_len + GAP))
    line.rstrip()
    return line


def _columns(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split("\n")))


def _text(cell: Cell) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(cell)
