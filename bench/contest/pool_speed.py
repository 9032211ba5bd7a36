# SPDX-License-Identifier: Apache-2.0
"""How fast a gateway's pool evaluates samples: all forests in the caged process, on the features that devices send."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

import numpy as np

from bench.bearings.sampling import WINDOW, Int16s
from bench.contest.forests import FEATURES, THRESHOLD, BenchForest, Bools
from reconciler.compiler.pack.features_section import Statistic
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pool.messages import PooledKind, PooledModel, SampleRows, WindowLayout
from reconciler.compiler.pool.process import CagedPool
from reconciler.compiler.reference.forest import raw_features

STATISTICS = tuple(Statistic[name.upper()] for name in FEATURES)
LAYOUT = WindowLayout(
    element_type=int(ElementType.INT16),
    samples=WINDOW,
    channels=1,
    statistics=tuple((int(statistic), 0) for statistic in STATISTICS),
)


def pool_votes(packs: Mapping[BenchForest, bytes], windows: Int16s) -> tuple[dict[BenchForest, Bools], float]:
    """Return the votes of all forests on the windows, and how many windows a second that is."""
    rows = _rows(windows)
    models = {forest: _pooled(forest, pack) for forest, pack in packs.items()}
    with closing(CagedPool()) as pool:
        for model in models.values():  # loaded once, as on a gateway
            pool.vote(model, _rows(windows[:1]), [THRESHOLD])
        began_s = time.perf_counter()
        votes = {forest: pool.vote(model, rows, [THRESHOLD]) for forest, model in models.items()}
        took_s = time.perf_counter() - began_s
    cast = {forest: np.array(found[0]) == 1 for forest, found in votes.items() if found is not None}
    if cast.keys() != packs.keys():
        raise SystemExit("a forest of the pool did not vote")
    return cast, len(windows) / took_s


def _pooled(forest: BenchForest, pack: bytes) -> PooledModel:
    return PooledModel(str(forest.ref), str(forest.ref), PooledKind.PACK, pack)


def _rows(windows: Int16s) -> SampleRows:
    by_statistic = [raw_features(window.tolist()) for window in windows]
    features = np.array([[raw[statistic] for statistic in STATISTICS] for raw in by_statistic], "<i4")
    return SampleRows(LAYOUT, len(windows), features.tobytes(), windows.astype("<i2").tobytes())
