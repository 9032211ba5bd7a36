# SPDX-License-Identifier: Apache-2.0
"""How well grown forests tell worn bearings from healthy ones, against scikit-learn on the same rows.

The sets go from the first signs of a fault to its end: at the end every forest is right, and the first signs are hard.
Both sides are random, so each is grown from many seeds, and a difference is stated with what chance alone makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from bench.bearings.dataset import BearingRun
from bench.bearings.sampling import WINDOW, Int16s
from reconciler.compiler.forest.quantization import ThresholdGrid, fit_grid
from reconciler.compiler.forest.training import FeatureExtractor
from reconciler.compiler.pack.features_section import Statistic
from reconciler.compiler.pack.forest_section import Forest, Leaf, decode_forest
from reconciler.compiler.reference.growing import ForestForm
from tests.firmware.growing import grown_on_host

STATISTICS = ((Statistic.KURTOSIS, 0), (Statistic.SKEWNESS, 0), (Statistic.MEAN, 0))
FORM = ForestForm(features=len(STATISTICS), trees=50, subsample=100, threshold_bits=16)
ROWS, SEEDS = 600, 48
HEALTHY_LIFE = 0.6
EVALUATED = 400  # windows of each kind
# Parts of the life of the bearings that fail, whose faults begin at 80 % and at 72 % of it.
WORN = {2: ((0.80, 0.83), (0.83, 0.87), (0.90, 1.0)), 3: ((0.72, 0.76), (0.76, 0.82), (0.90, 1.0))}

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BearingRows:
    """What the trees get of one bearing: rows to grow from, later healthy ones, and worn ones by their part of life."""

    bearing: int
    rows: Rows
    later: Rows
    worn: tuple[tuple[tuple[float, float], Rows], ...]


@dataclass(frozen=True)
class AucSamples:
    """The area under the curve of both sides on one set, by seed."""

    name: str
    grown: Sequence[float]
    other: Sequence[float]

    @property
    def gap(self) -> float:
        """By how much scikit-learn is better on average."""
        return fmean(self.other) - fmean(self.grown)

    @property
    def spread(self) -> float:
        """Two standard errors of the gap: as much is chance in 19 of 20 cases."""
        return 2 * hypot(stdev(self.grown), stdev(self.other)) / sqrt(len(self.grown))

    def __str__(self) -> str:
        """Return one line."""
        ours, theirs = (f"{fmean(each):.4f} ± {stdev(each):.4f}" for each in (self.grown, self.other))
        return f"{self.name}: AUC {ours} grown, {theirs} by scikit-learn; gap {self.gap:+.4f} ± {self.spread:.4f}"


def rows_of(run: BearingRun, bearing: int) -> BearingRows:
    """Return the rows of a bearing on 16-bit grids that its healthy windows span."""
    extractor = FeatureExtractor(1.0, WINDOW, 1, STATISTICS)
    healthy = run.windows[bearing][run.life < HEALTHY_LIFE]
    every = len(healthy) // (ROWS + EVALUATED)
    raw = extractor.raw(healthy[::every][: ROWS + EVALUATED].astype(np.float64))
    grids = [fit_grid([float(column.min()), float(column.max())], FORM.threshold_bits) for column in raw[:ROWS].T]

    def of(part: tuple[float, float]) -> tuple[tuple[float, float], Rows]:
        windows = run.windows[bearing][(run.life >= part[0]) & (run.life < part[1])]
        return part, _on_grids(extractor.raw(_thinned(windows).astype(np.float64)), grids)

    worn = tuple(of(part) for part in WORN[bearing])
    return BearingRows(bearing, _on_grids(raw[:ROWS], grids), _on_grids(raw[ROWS:], grids), worn)


def compare(data: BearingRows, seeds: int = SEEDS) -> Iterator[AucSamples]:
    """Grow forests from as many seeds on both sides, and yield how good they are on each set of worn windows."""
    everything = np.concatenate([data.later, *(rows for _, rows in data.worn)])
    grown = [_grown_scores(data.rows, everything, seed) for seed in range(1, seeds + 1)]
    other = [_other_scores(data.rows, everything, seed) for seed in range(1, seeds + 1)]
    at = len(data.later)
    for (first, last), rows in data.worn:
        place = np.r_[: len(data.later), at : at + len(rows)]
        truth = np.r_[np.zeros(len(data.later)), np.ones(len(rows))]
        name = f"bearing {data.bearing + 1}, {100 * first:.0f} to {100 * last:.0f} % of life"
        yield AucSamples(
            name,
            [float(roc_auc_score(truth, scores[place])) for scores in grown],
            [float(roc_auc_score(truth, scores[place])) for scores in other],
        )
        at += len(rows)


def auc_figures(run: BearingRun) -> dict[str, float]:
    """Print all sets, and return the mean gap with its spread, and the worst with its own."""
    sets = [each for bearing in WORN for each in compare(rows_of(run, bearing))]
    print("\n".join(f"# {each}" for each in sets))
    worst = max(sets, key=lambda each: each.gap)
    return {
        "grow_auc_gap": fmean(each.gap for each in sets),
        "grow_auc_gap_spread": hypot(*(each.spread for each in sets)) / len(sets),
        "grow_auc_gap_worst": worst.gap,
        "grow_auc_gap_worst_spread": worst.spread,
    }


def _thinned(windows: Int16s) -> Int16s:
    found: Int16s = windows[:: max(1, len(windows) // EVALUATED)][:EVALUATED]
    return found


def _on_grids(raw: Rows, grids: Sequence[ThresholdGrid]) -> Rows:
    return np.stack([grid.apply(raw[:, place], FORM.threshold_bits) for place, grid in enumerate(grids)], axis=1)


def forest_scores(forest: Forest, rows: Rows) -> Floats:
    """Return how anomalous a grown forest finds rows: the more, the higher."""
    return -np.asarray(np.sum([_depths(forest, place, rows) for place in range(len(forest.trees))], axis=0), np.float64)


def _grown_scores(rows: Rows, everything: Rows, seed: int) -> Floats:
    return forest_scores(decode_forest(grown_on_host(rows.tolist(), FORM, seed), FORM.features), everything)


def _depths(forest: Forest, place: int, rows: Rows) -> Floats:
    """Return what one tree adds to the sum of each row."""
    found = np.empty(len(rows))
    open_ = [(forest.trees[place], 0, np.arange(len(rows)))]
    while open_:
        node, depth, mine = open_.pop()
        if isinstance(node, Leaf):
            found[mine] = int(forest.table[node.row][0]) + depth * forest.depth_unit
            continue
        left = rows[mine, node.feature] <= node.threshold
        open_ += [(node.left, depth + 1, mine[left]), (node.right, depth + 1, mine[~left])]
    return found


def _other_scores(rows: Rows, everything: Rows, seed: int) -> Floats:
    fitted = IsolationForest(n_estimators=FORM.trees, max_samples=FORM.subsample, random_state=seed).fit(rows)
    return -np.asarray(fitted.score_samples(everything), np.float64)
