# SPDX-License-Identifier: Apache-2.0
"""Recipes and files for tests of builds."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from reconciler.compiler.recipe import BuildTarget, File, Recipe
from reconciler.model import DeviceType, Gate, Model, ModelRef, ModelSource, QuantizeSpec, TrainSpec, TypeId, Version

TARGET = BuildTarget(
    "board",
    "cortex-m4",
    65536,
    32768,
    (
        "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "ADD", "MUL",
        "QUANTIZE", "LOOKUP", "SOFTMAX", "PAD", "CONCATENATION", "TREE_ENSEMBLE", "THRESHOLD",
    ),
)  # fmt: skip

BOARD = DeviceType(TypeId("board"), "cortex-m4", 65536, 32768, frozenset({"CONV_2D"}), labels={"clock-mhz": "64"})


class Files:
    """Named files, and the function through which `BuildService` fetches them, which counts its calls."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self.fetched = 0

    def add(self, name: str, data: bytes) -> File:
        digest = hashlib.sha256(data).hexdigest()
        self._content[digest] = data
        return File(name, digest)

    def __call__(self, file: File) -> bytes:
        self.fetched += 1
        return self._content[file.sha256]

    @property
    def by_digest(self) -> dict[str, bytes]:
        return dict(self._content)


def readings(seed: int, rows: int, *, odd: int = 0) -> bytes:
    """Return a CSV of three columns and a label; `odd` rows are anomalies."""
    rng = np.random.default_rng(seed)
    usual = rng.normal([4.2, 6.1, 2.0], [0.15, 0.2, 0.4], (rows - odd, 3))
    strange = rng.normal([5.5, 9.0, 6.0], [0.3, 0.3, 0.8], (odd, 3))
    lines = [f"{a:.3f},{b:.3f},{c:.3f},0" for a, b, c in usual] + [f"{a:.3f},{b:.3f},{c:.3f},1" for a, b, c in strange]
    return ("mean,peak,third,label\n" + "\n".join(lines) + "\n").encode()


def forest_recipe(files: Files, **changes: Any) -> Recipe:  # noqa: ANN401 - fields of Recipe
    """An isolation forest of ten trees."""
    settings: dict[str, Any] = {
        "model": "readings@1.0.0",
        "source": files.add("normal.csv", readings(1, 300)),
        "target": TARGET,
        "train": TrainSpec("isolation-forest", 10, 100, 7),
        "scheme": "int16",
        "parameters": {"threshold": 0.65},
    }
    return Recipe(**{**settings, **changes})


def model_with_data(source: ModelSource, data: ModelSource) -> Model:
    """Return a model with representative data and a gate on the same data."""
    return Model(
        ModelRef("m", Version("1")), source, quantize=QuantizeSpec(representative=data), gates=(Gate("auc", data=data),)
    )
