# SPDX-License-Identifier: Apache-2.0
"""Writes untrained networks to a folder: `python -m tests.compiler.training.keras_networks FOLDER`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.training.documents import SAMPLES

NAMES = ("autoencoder.keras", "classifier.keras")


@cache
def networks() -> Mapping[str, bytes]:
    """Have another process write the networks, once, and return them by name."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", __name__, folder], check=True, capture_output=True)
        return {name: (Path(folder) / name).read_bytes() for name in NAMES}


def main() -> None:
    import keras  # noqa: PLC0415 - slow to import

    keras.utils.set_random_seed(1)
    layers, first = keras.layers, keras.Input((SAMPLES,))
    inner = layers.Dense(8, activation="relu")(first)
    outputs = (layers.Dense(SAMPLES)(inner), layers.Dense(1, activation="sigmoid")(inner))
    for name, output in zip(NAMES, outputs, strict=True):
        keras.Model(first, output).save(Path(sys.argv[1]) / name)


if __name__ == "__main__":
    main()
