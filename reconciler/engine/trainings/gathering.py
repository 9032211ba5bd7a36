# SPDX-License-Identifier: Apache-2.0
"""The windows of a training, from the knowledge base: evaluated as the contest does, and alike in their layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.compiler.pool.messages import WindowLayout
from reconciler.compiler.training.snapshot import Snapshot, SnapshotLayout
from reconciler.contest.evidence import with_truths
from reconciler.contest.vote import has_quorum
from reconciler.engine.samples.kept_rows import kept_rows
from reconciler.knowledge.reader import KnowledgeReader
from reconciler.model import FORESTS, Candidate, Contest, Training
from reconciler.training.selection import KnownWindow, SelectedRow, is_split, select

_BYTES = {1: 1, 2: 2}  # of an element of a window, by its type (pack.md, section 2)
_INT8, _INT16 = _BYTES
NEWEST = 50_000  # samples of a contest from which windows are selected: more would take minutes and memory
_BATCH = 500

LayoutOf = Callable[[bytes, int, int], SnapshotLayout | None]  # of a context, an element type, and a window's bytes


@dataclass(frozen=True, slots=True)
class GatheredWindows:
    """The windows that a training would use now."""

    rows: tuple[SelectedRow, ...]
    windows: Mapping[int, bytes]  # by the number of the sample
    layout: SnapshotLayout | None  # None: there is no window
    last_sample: int  # the newest of the contest, used or not
    unusable: int  # with a truth, but without a window of this layout

    def snapshot(self) -> Snapshot:
        """Return the windows as one value. There must be some."""
        if self.layout is None:
            raise ValueError("no windows were gathered")
        return Snapshot(self.layout, self.rows, b"".join(self.windows[row.number] for row in self.rows))


def gather_windows(  # noqa: PLR0913 - what a selection depends on
    knowledge: KnowledgeReader,
    contest: Contest,
    voters: Collection[Candidate],
    training: Training,
    *,
    layout_of: LayoutOf,
    now: datetime,
) -> GatheredWindows:
    """Select the windows of a training."""
    last_sample = knowledge.last_sample(contest.name)
    kept = kept_rows(knowledge, contest.name, voters, NEWEST)
    # An undecided window may count as normal. One that passes must not: the selection leaves it out.
    pool = replace(contest.pool, persistence=None)
    data = replace(training.data, persistence=training.data.persistence or contest.pool.persistence)
    truths = with_truths(pool, voters, [row.sample for row in kept])
    known = [
        KnownWindow(row.number, row.sample, truth, has_quorum(row.sample, pool, voters))
        for row, (_, truth) in zip(kept, truths, strict=True)
    ]
    decided = [row for row in known if row.truth is not None or is_split(row, training.data)]
    windows, layouts = _windows(knowledge, contest, decided, layout_of, _read_by(training))
    layout = _commonest(layouts)
    usable = [row for row in decided if layout is not None and layouts.get(row.number) == layout]
    rows = select(usable, data, now)
    chosen = {row.number: windows[row.number] for row in rows}
    return GatheredWindows(rows, chosen, layout, last_sample, len(decided) - len(usable))


def layout_by_context(layouts: Mapping[bytes, WindowLayout]) -> LayoutOf:
    """Return what windows mean, by the packs of their contexts: a window fits if it has as many bytes as expected."""

    def layout_of(context: bytes, element_type: int, size: int) -> SnapshotLayout | None:
        known = layouts.get(context)
        if known is None:
            return None
        samples, channels = (known.samples, known.channels) if known.samples else (size // _BYTES[element_type], 1)
        found = SnapshotLayout(samples, channels, known.scale, element_type, known.zero_point)
        return found if found.window_bytes == size else None

    return layout_of


def layout_by_size(_context: bytes, element_type: int, size: int) -> SnapshotLayout:
    """Return what windows mean as far as their size says it: enough to count them."""
    return SnapshotLayout(size // _BYTES[element_type], 1, 1.0, element_type)


def _read_by(training: Training) -> frozenset[int]:
    """Return the types of elements that its methods read: a forest reads int16, a network int8."""
    return frozenset(_INT16 if space.method in FORESTS else _INT8 for space in training.try_)


def _windows(
    knowledge: KnowledgeReader,
    contest: Contest,
    rows: Collection[KnownWindow],
    layout_of: LayoutOf,
    types: Collection[int],
) -> tuple[dict[int, bytes], dict[int, SnapshotLayout]]:
    """Read the windows of these samples that consist of elements of these types."""
    wanted = {row.number for row in rows}
    windows: dict[int, bytes] = {}
    layouts: dict[int, SnapshotLayout] = {}
    last = min(wanted, default=1) - 1
    while wanted and (batch := knowledge.samples_after(contest.name, last, _BATCH)):
        for each in batch:
            sample, window = each.sample, each.sample.window
            if each.id not in wanted or not window or sample.element_type not in types:
                continue
            layout = layout_of(sample.context, sample.element_type, len(window))
            if layout is not None:
                windows[each.id], layouts[each.id] = window, layout
        last = batch[-1].id
    return windows, layouts


def _commonest(layouts: Mapping[int, SnapshotLayout]) -> SnapshotLayout | None:
    """Return the layout of the most windows; of equal ones, that of the newest."""
    counts = Counter(layouts.values())
    newest = {layout: number for number, layout in sorted(layouts.items())}
    return max(counts, key=lambda each: (counts[each], newest[each]), default=None)
