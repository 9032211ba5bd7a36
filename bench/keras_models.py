# SPDX-License-Identifier: Apache-2.0
"""Makes the networks of `make bench-engine` in Keras, and converts them as a build does. Runs in its own process.

Three architectures from benchmarks for microcontrollers, with random weights from a seed. They are not trained,
but cost exactly as much. `python -m bench.keras_models FOLDER` writes FOLDER/<name>.tflite in full int8.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from reconciler.compiler.tflite.tensorflow_converter import convert_model

SAMPLES = 24


def _normalized(x: Any) -> Any:  # noqa: ANN401 - Keras has no types
    return layers.ReLU()(layers.BatchNormalization()(x))


def keyword_spotting() -> Any:  # noqa: ANN401 - as above
    """DS-CNN S: a depthwise-separable CNN on a spectrogram of 49 by 10, twelve words."""
    first = keras.Input(batch_shape=(1, 49, 10, 1))
    x = _normalized(layers.Conv2D(64, (10, 4), strides=2, padding="same", use_bias=False)(first))
    for _ in range(4):
        x = _normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
        x = _normalized(layers.Conv2D(64, 1, use_bias=False)(x))
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return keras.Model(first, layers.Dense(12, activation="softmax")(x))


def residual() -> Any:  # noqa: ANN401 - as above
    """A residual CNN on an image of 32 by 32: three stages of 16, 32 and 64 channels, ten classes."""
    first = keras.Input(batch_shape=(1, 32, 32, 3))
    x = _normalized(layers.Conv2D(16, 3, padding="same")(first))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = _normalized(layers.Conv2D(channels, 3, strides=stride, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(y))
        skip = x if stride == 1 else layers.Conv2D(channels, 1, strides=stride, padding="same")(x)
        x = layers.ReLU()(layers.Add()([y, skip]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(first, layers.Dense(10, activation="softmax")(x))


def autoencoder() -> Any:  # noqa: ANN401 - as above
    """A dense autoencoder for sounds: 640 numbers through layers of 128 and a neck of 8."""
    first = keras.Input(batch_shape=(1, 640))
    x = first
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = _normalized(layers.Dense(units)(x))
    return keras.Model(first, layers.Dense(640)(x))


MODELS = {"kws": keyword_spotting, "resnet": residual, "autoencoder": autoencoder}


def main() -> None:
    """Write all models."""
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(1)
    for name, make in MODELS.items():
        keras.utils.set_random_seed(1)
        model = make()
        rows = rng.normal(0, 1, (SAMPLES, int(np.prod(model.input_shape[1:]))))
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.keras"
            model.save(path)
            converted = convert_model("model.keras", path.read_bytes(), rows)
        (folder / f"{name}.tflite").write_bytes(converted.int8)


if __name__ == "__main__":
    main()
