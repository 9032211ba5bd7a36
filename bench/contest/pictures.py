# SPDX-License-Identifier: Apache-2.0
"""Pictures of contests: ranks and alarms over time, and what 16 contests came to under each rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench.contest.chart import BLUE, GREEN, GREY, INK, RED, Axis, Panel, draw
from bench.contest.forests import BenchForest
from bench.contest.play import Play, Round

DAY_MINUTES, BIN_MINUTES = 1440, 360
POINTS_PER_LINE = 60
RANKS_LIFE = 0.8  # later, every window of a failing bearing is an anomaly, and all ranks rise
TICKS = 8


def course(play: Play, rule: str) -> str:
    """Return the picture of one contest: the rank of each forest, replacements, and the champion's alarms."""
    last_day = math.ceil(play.setting.run.minutes[-1] / DAY_MINUTES)
    days = Axis("days", 0, last_day, range(0, last_day + 1, 2))
    legend = [
        (INK, "rank of the champion"),
        (GREY, "ranks of the others"),
        (RED, "replacements; false by vote"),
        (BLUE, "confirmed by vote"),
    ]
    return draw([_ranks(play, rule, days), _alarms(play, days)], legend)


def outcomes(literal: Sequence[Play], ours: Sequence[Play], plain: Sequence[Play]) -> str:
    """Return the picture of all contests: false alarms before and after, under each rule."""
    rows = [f"{play.setting.bearing + 1}: {_short(play.setting.champion)}" for play in literal]
    most = max(_before(play) for play in literal) * 1.1
    panel = Panel(
        f"False alarms of first and last champions, and how often they were replaced ({literal[0].setting.run.source})",
        Axis("false alarms in 1,000 windows of the healthy machine", 0, most, _ticks(0, most)),
        Axis("bearing: first champion", len(rows) - 0.5, -0.5, range(len(rows))),
        height=36 * len(rows),
        left=160,
        rows=rows,
    )
    for row, plays in enumerate(zip(literal, ours, plain, strict=True)):
        for play, colour, lift in zip(plays, (RED, BLUE, GREEN), (-0.27, 0, 0.27), strict=True):
            end = (_after(play), row + lift)
            panel.line([(_before(play), row + lift), end], colour)
            panel.dot(end, colour)
            panel.text((max(end[0], _before(play)), row + lift), str(play.replacements), colour)
        panel.dot((_before(plays[0]), row), INK, hollow=True)
    legend = [
        (INK, "first champion"),
        (RED, "last, the paper's rule"),
        (BLUE, "last, our rules"),
        (GREEN, "our rules, plain majority"),
    ]
    return draw([panel], legend)


def _ranks(play: Play, rule: str, days: Axis) -> Panel:
    shown = [part.until(int(np.searchsorted(play.setting.run.life, RANKS_LIFE))) for part in play.rounds]
    values = [rank for part in shown for _, ranks in part.ranks for rank in ranks.values()]
    rank = Axis("rank", min(values), max(values), _ticks(min(values), max(values)))
    where = f"Bearing {play.setting.bearing + 1} ({play.setting.run.source})"
    title = f"{where}, first champion {_short(play.setting.champion)}: {rule}"
    panel = Panel(title, days, rank, height=240)
    day = play.setting.run.minutes / DAY_MINUTES
    for part in shown:
        for forest in play.setting.votes:
            panel.line(_rank_of(forest, part, day), GREY, 0.5)
        panel.line(_rank_of(part.champion, part, day), INK, 2)
    for part in shown[1:]:
        panel.line([(day[part.first], rank.least), (day[part.first], rank.most)], RED)
    return panel


def _rank_of(forest: BenchForest, part: Round, day: np.ndarray) -> Iterator[tuple[float, float]]:
    step = max(1, len(part.ranks) // POINTS_PER_LINE)
    for window, ranks in [*part.ranks[::step], *part.ranks[-1:]]:
        yield day[window], ranks[forest]


def _alarms(play: Play, days: Axis) -> Panel:
    edges = np.arange(0, play.setting.run.minutes[-1] + BIN_MINUTES, BIN_MINUTES)
    alarms = play.alarms()
    confirmed = play.setting.majority()[alarms]
    minutes = play.setting.run.minutes[alarms]
    false, true = (np.histogram(minutes[kind], edges)[0] for kind in (~confirmed, confirmed))
    most = int((false + true).max())
    panel = Panel("Alarms in 6 hours", days, Axis("alarms", 0, most, _ticks(0, most)), height=140)
    for at in range(len(edges) - 1):
        left, right = edges[at] / DAY_MINUTES, min(edges[at + 1] / DAY_MINUTES, days.most)
        panel.bar((left, 0), (right, true[at]), BLUE)
        panel.bar((left, true[at]), (right, true[at] + false[at]), RED)
    return panel


def _ticks(least: float, most: float) -> list[float]:
    """Return round numbers within a range."""
    raw = (most - least) / TICKS
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    return [step * number for number in range(math.ceil(least / step), math.floor(most / step) + 1)]


def _before(play: Play) -> float:
    return play.setting.false_alarms_per_1000(play.setting.champion)


def _after(play: Play) -> float:
    return play.setting.false_alarms_per_1000(play.last_champion)


def _short(forest: BenchForest) -> str:
    return f"forest {forest.bearing + 1} of {forest.trees} trees"
