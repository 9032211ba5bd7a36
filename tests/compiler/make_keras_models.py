# SPDX-License-Identifier: Apache-2.0
"""Writes Keras models and SavedModels to a folder: `python -m tests.compiler.make_keras_models FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf


def one_dimensional() -> Any:  # noqa: ANN401 - no types
    layers = tf.keras.layers
    source = tf.keras.Input((32, 1))
    x = layers.Conv1D(8, 5, padding="same", activation="relu")(source)
    x = layers.Conv1D(8, 3, dilation_rate=2, activation="relu6")(x)
    x = layers.AveragePooling1D(2)(x)
    x = layers.Conv1D(4, 3, strides=2)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return tf.keras.Model(source, layers.Dense(3, activation="softmax")(x))


def two_dimensional() -> Any:  # noqa: ANN401 - no types
    layers = tf.keras.layers
    source = tf.keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, activation="relu6", use_bias=False)(source)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.BatchNormalization()(y)
    x = layers.Add()([x, y])
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Concatenate()([layers.MaxPool2D()(x), layers.AveragePooling2D(2)(x)])
    x = layers.Multiply()([x, layers.Activation("sigmoid")(layers.Conv2D(16, 1)(x))])
    x = layers.Flatten()(x)
    return tf.keras.Model(source, layers.Dense(10, activation="tanh")(x))


def lambda_layer() -> Any:  # noqa: ANN401 - no types
    source = tf.keras.Input((4,))
    return tf.keras.Model(source, tf.keras.layers.Lambda(lambda v: v * 2)(source))


class Spy(tf.Module):  # type: ignore[misc]  # no types
    """Reads a file of the machine that converts it."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])  # type: ignore[untyped-decorator]  # no types
    def look(self, x: Any) -> Any:  # noqa: ANN401 - no types
        return x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def main() -> None:
    folder = Path(sys.argv[1])
    tf.keras.utils.set_random_seed(1)
    one_dimensional().save(folder / "one.keras")
    both = two_dimensional()
    both.save(folder / "two.keras")
    both.export(folder / "saved")
    lambda_layer().save(folder / "lambda.keras")
    tf.saved_model.save(spy := Spy(), folder / "spy", signatures={"serving_default": spy.look})
    recurrent = tf.keras.Sequential([tf.keras.Input((8, 2)), tf.keras.layers.LSTM(4)])
    recurrent.save(folder / "lstm.keras")


if __name__ == "__main__":
    main()
