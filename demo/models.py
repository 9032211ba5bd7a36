# SPDX-License-Identifier: Apache-2.0
"""The models of the demo: training data as its sensors measure it, and the recipes."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from demo.world import document

MODEL, NIGHT_NAME = "vibration", "vibration-night"
SAMPLES = 64  # one turn of the shaft of a mill
TURN = 2 * math.pi * 25 / 1600
STATISTICS = ("rms", "crest", "kurtosis", "zero-crossings")
THRESHOLD = 0.65
HEALTHY, STILL = "data/healthy.csv", "data/standing-still.csv"


@dataclass(frozen=True)
class Recipe:
    """One version of a model: its training data, and the number of trees."""

    version: str
    trees: int
    data: str = HEALTHY
    name: str = MODEL


PREBAKED = Recipe("1.0.0", 10)
BETTER = Recipe("1.1.0", 16)
LARGER = Recipe("1.2.0", 50)
BAD = Recipe("2.0.0", 10, STILL)  # recorded while the mill was switched off
NIGHT_MODEL = Recipe("1.0.0", 5, name=NIGHT_NAME)


def recordings() -> dict[str, bytes]:
    """Return both training files; the same in every run."""
    rng = random.Random(1)  # noqa: S311 - no secret
    healthy = [*(_mill(rng) for _ in range(200)), *(_press(rng) for _ in range(120))]
    still = [_noise(rng) for _ in range(200)]
    return {HEALTHY: _csv(healthy), STILL: _csv(still)}


def files(recipe: Recipe, data: bytes) -> dict[str, bytes]:
    """Return the document of a version; `data` is the content of its training file."""
    spec = {
        "version": recipe.version,
        "source": {"path": recipe.data, "sha256": hashlib.sha256(data).hexdigest()},
        "train": {
            "method": "isolation-forest",
            "trees": recipe.trees,
            "samples": 100,
            "seed": 7,
            "features": [{"statistic": name} for name in STATISTICS],
        },
        "quantize": {"scheme": "int8"},
        "needs": {"operators": ["TREE_ENSEMBLE"]},
        "parameters": {"threshold": THRESHOLD},
    }
    return {f"models/{recipe.name}-{recipe.version}.yaml": document("Model", recipe.name, spec)}


def _csv(windows: Iterable[list[int]]) -> bytes:
    lines = [",".join(f"s{at}" for at in range(SAMPLES)), *(",".join(map(str, window)) for window in windows)]
    return ("\n".join(lines) + "\n").encode()


def _mill(rng: random.Random) -> list[int]:
    """Return what tinyfleet-vdev measures: a shaft, its third harmonic, and noise."""
    begin = rng.randrange(1 << 16)
    angles = [(begin + at) * TURN for at in range(SAMPLES)]
    return [round(8192 * (math.sin(angle) + 0.3 * math.sin(3 * angle) + 0.2 * rng.uniform(-1, 1))) for angle in angles]


def _press(rng: random.Random) -> list[int]:
    """Return what the emulated board measures: a triangle with noise."""
    return [2 * min(at % 32, 32 - at % 32) + rng.randrange(8) for at in range(SAMPLES)]


def _noise(rng: random.Random) -> list[int]:
    return [round(1638 * rng.uniform(-1, 1)) for _ in range(SAMPLES)]
