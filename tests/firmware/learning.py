# SPDX-License-Identifier: Apache-2.0
"""Packs that learn, windows for them, and what a device has learned (docs/specs/learning.md)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf
from reconciler.compiler.pack.isolation_score import average_path_length, isolation_limit
from reconciler.compiler.pack.learn_section import LearnRecipe
from reconciler.compiler.pack.learning_parameter import with_learning
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.reference.forest import tree_inputs
from reconciler.compiler.reference.growing import ForestForm, grow_forest
from reconciler.devices.learned_regions import GrownForest, StoredRows, parse_forest, parse_rows, row_stride
from reconciler.devices.messages import SampleSpace
from tests.firmware.samples import pull_all

SAMPLES: Final = 16
WINDOW: Final = FeatureWindow(
    SAMPLES,
    1,
    (
        Feature(Statistic.KURTOSIS, 0, 0, 0, 4),
        Feature(Statistic.SKEWNESS, 0, 0, -8192, 2),
        Feature(Statistic.RMS, 0, 8, 0, 1),
    ),
)
FORM: Final = ForestForm(features=3, trees=5, subsample=20, threshold_bits=16)
RECIPE: Final = LearnRecipe(rows=30, every=2, seed=42, most_anomalous=100)


class Inferring(Protocol):
    """A device that runs its model on a window."""

    def infer(self, data: bytes) -> tuple[int, int]:
        """Return the decision and the score."""


def starter_pack(form: ForestForm = FORM, threshold: float = 0.65, window: FeatureWindow = WINDOW) -> bytes:
    """Return a pack that finds every window as normal as the average one."""
    table = np.array([[0], [round(average_path_length(form.subsample) * 2048)]], np.int16)
    trees = (Leaf(1),) * form.trees
    forest = Forest(ForestMode.ISOLATION, form.threshold_bits, trees, table, form.features, subsample=form.subsample)
    limit = isolation_limit(form.subsample, form.trees, threshold)
    parameter = Parameter(name_hash("threshold"), limit, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)
    return assemble_forest(forest, window, [parameter])


def learning_pack(form: ForestForm = FORM, recipe: LearnRecipe = RECIPE, threshold: float = 0.65) -> bytes:
    """Return a pack that learns."""
    return with_learning(starter_pack(form, threshold), recipe)


def windows(seed: int, *, scale: int = 900) -> Iterator[bytes]:
    """Yield windows of noise without end."""
    rng = np.random.default_rng(seed)
    while True:
        samples = np.rint(rng.normal(0, scale, SAMPLES)).astype(int)
        yield struct.pack(f"<{SAMPLES}h", *np.clip(samples, -32768, 32767))


def infer_windows(device: Inferring, source: Iterator[bytes], count: int) -> list[list[int]]:
    """Let the device infer; return the features of the windows."""
    rows = []
    for _ in range(count):
        data = next(source)
        device.infer(data)
        rows.append(features_of(data))
    return rows


def features_of(data: bytes) -> list[int]:
    """Return the features of a window, as the trees see them."""
    return tree_inputs(WINDOW, np.frombuffer(data, "<i2").astype(np.int64), FORM.threshold_bits)


def stored_rows(device: object, write_bytes: int, features: int = FORM.features) -> StoredRows:
    """Pull the rows that a device has collected."""
    _, data = pull_all(device, SampleSpace.ROWS)  # type: ignore[arg-type]
    return parse_rows(data, features=features, stride=row_stride(features, write_bytes))


def grown_forest(device: object) -> GrownForest:
    """Pull the forest that a device has grown."""
    _, data = pull_all(device, SampleSpace.FOREST)  # type: ignore[arg-type]
    return parse_forest(data)


def expected_forest(rows: list[list[int]], form: ForestForm = FORM, recipe: LearnRecipe = RECIPE) -> bytes:
    """Return the section that must grow from these rows."""
    return grow_forest(rows, form, recipe.seed)
