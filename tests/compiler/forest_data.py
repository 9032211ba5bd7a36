# SPDX-License-Identifier: Apache-2.0
"""Random datasets for tests of forests."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.datasets import Dataset


def correlated_rows(seed: int, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.rint(rng.normal(0, 800, (count, 3)) @ [[1, 0.4, 0.2], [0, 0.8, 0.3], [0, 0, 0.6]]))


def noise_dataset(columns: int) -> Dataset:
    rows = np.random.default_rng(1).normal(0, 100, (50, columns))
    return Dataset(tuple(f"c{number}" for number in range(columns)), rows)


def correlated_dataset(seed: int, count: int = 400, labels: np.ndarray | None = None) -> Dataset:
    return Dataset(("a", "b", "c"), correlated_rows(seed, count), labels)
