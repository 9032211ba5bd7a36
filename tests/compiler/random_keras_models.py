# SPDX-License-Identifier: Apache-2.0
"""Compares packs of random Keras models with the oracle: `python -m tests.compiler.random_keras_models 50`.

What TensorFlow's converter emits cannot be predicted. Models of random layers must become packs that are
exact to the bit, or be refused for an operator. The script prints how many of each there are.
"""

from __future__ import annotations

import collections
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.compiler.tflite.tensorflow_converter import convert_model

ACTIVATIONS = (None, "relu", "relu6", "tanh", "sigmoid", "hard_swish", "gelu", "leaky_relu")
Layer = Callable[[random.Random, Any], Any]


def _conv(choose: random.Random, x: Any) -> Any:  # noqa: ANN401 - no types
    kind = tf.keras.layers.Conv1D if len(x.shape) == 3 else tf.keras.layers.Conv2D
    dilation = choose.choice([1, 1, 2])
    return kind(
        choose.choice([4, 8, 12]),
        choose.choice([1, 3, 5]),
        strides=1 if dilation > 1 else choose.choice([1, 2]),
        dilation_rate=dilation,
        padding=choose.choice(["same", "valid"]) if min(x.shape[1:-1]) > 12 else "same",
        activation=choose.choice(ACTIVATIONS),
        use_bias=choose.random() < 0.8,
    )(x)


def _depthwise(choose: random.Random, x: Any) -> Any:  # noqa: ANN401 - no types
    kind = tf.keras.layers.DepthwiseConv1D if len(x.shape) == 3 else tf.keras.layers.DepthwiseConv2D
    return kind(3, padding="same", strides=choose.choice([1, 2]), depth_multiplier=choose.choice([1, 2]))(x)


def _pool(choose: random.Random, x: Any) -> Any:  # noqa: ANN401 - no types
    layers = tf.keras.layers
    if min(x.shape[1:-1]) <= 3:
        return x
    flat = (layers.MaxPool1D, layers.AveragePooling1D)
    kind = choose.choice(flat if len(x.shape) == 3 else (layers.MaxPool2D, layers.AveragePooling2D))
    return kind(2, padding=choose.choice(["same", "valid"]))(x)


def _skip(choose: random.Random, x: Any) -> Any:  # noqa: ANN401 - no types
    layers = tf.keras.layers
    kind = layers.Conv1D if len(x.shape) == 3 else layers.Conv2D
    y = kind(x.shape[-1], 3, padding="same", activation=choose.choice(ACTIVATIONS))(x)
    return choose.choice([layers.Add, layers.Multiply, layers.Concatenate, layers.Average])()([x, y])


def _other(choose: random.Random, x: Any) -> Any:  # noqa: ANN401 - no types
    layers = tf.keras.layers
    pad = layers.ZeroPadding1D if len(x.shape) == 3 else layers.ZeroPadding2D
    activation = layers.Activation(choose.choice(ACTIVATIONS[1:]))
    return choose.choice([layers.BatchNormalization(), activation, layers.Dropout(0.3), pad(1)])(x)


LAYERS: tuple[Layer, ...] = (_conv, _depthwise, _pool, _skip, _other)


def random_model(seed: int) -> Any:  # noqa: ANN401 - no types
    """Return an untrained model of a few layers."""
    choose, layers = random.Random(seed), tf.keras.layers
    tf.keras.utils.set_random_seed(seed)
    channels = choose.choice([1, 3])
    flat = (choose.choice([16, 30, 64]), channels)
    source = tf.keras.Input(flat if choose.random() < 0.4 else (choose.choice([12, 17, 24]), 20, channels))
    x = source
    for _ in range(choose.randint(2, 6)):
        x = choose.choice(LAYERS)(choose, x)
    one = len(x.shape) == 3
    ends = (
        layers.Flatten,
        layers.GlobalAveragePooling1D if one else layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling1D if one else layers.GlobalMaxPooling2D,
    )
    x = choose.choice(ends)()(x)
    x = layers.Dense(5, activation=choose.choice([None, "softmax", "sigmoid"]))(x)
    return tf.keras.Model(source, x)


def build_and_compare(seed: int) -> str:
    """Build one model and compare it with the oracle; return the outcome."""
    model = random_model(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        model.save(path)
        data = path.read_bytes()
    rng = np.random.default_rng(seed)
    try:
        int8 = convert_model("m.keras", data, rng.normal(0, 1, (20, int(np.prod(model.inputs[0].shape[1:]))))).int8
        reference = ReferenceInterpreter(build_network(int8).data)
    except BuildFailed as error:
        return f"refused: {str(error)[:100]}"
    oracle = Oracle(int8)
    for _ in range(3):
        x = rng.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
        if reference.run([x.tobytes()]).outputs[0] != oracle.run([x])[0].tobytes():
            raise AssertionError(f"seed {seed}: the pack does not compute what the oracle computes")
    return "exact"


def main() -> None:
    """Build the number of models that the command line asks for."""
    found = collections.Counter(build_and_compare(seed) for seed in range(int(sys.argv[1])))
    for outcome, count in found.most_common():
        print(f"{count:5} {outcome}")  # noqa: T201 - the outcome


if __name__ == "__main__":
    main()
