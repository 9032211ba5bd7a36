# SPDX-License-Identifier: Apache-2.0
"""Networks of the sizes that run on microcontrollers, as `.tflite` files, built without TensorFlow.

Their weights are random, from a seed. Their scales let activations fill their range, as after calibration.
They compute nothing useful, but cost exactly as much as networks that do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.compiler.tflite_builder import Model

RELU = 1


@dataclass
class Chain:
    """Builds a network layer by layer."""

    seed: int
    model: Model = field(default_factory=Model)
    rng: np.random.Generator = field(init=False)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)
    zeros: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def tensor(self, shape: Sequence[int], scale: float, zero_point: int) -> int:
        """Add an activation."""
        index = self.model.tensor(shape, scale, zero_point)
        self.shapes[index], self.scales[index], self.zeros[index] = tuple(shape), scale, zero_point
        return index

    def _weights(self, shape: tuple[int, ...], channels: int, axis: int, x: int) -> tuple[int, int, float]:
        """Return weights, bias and the output's standard deviation in real units."""
        weights = self.rng.normal(0, 40, shape).clip(-127, 127).round().astype(np.int8)
        scales = [float(np.float32(s)) for s in self.rng.uniform(0.002, 0.004, channels)]
        taps = math.prod(shape) // channels
        sigma = math.sqrt(taps) * 40 * 0.003 * 50 * self.scales[x]
        bias_scales = [s * self.scales[x] for s in scales]
        bias = (self.rng.normal(0, sigma / 4, channels) / np.array(bias_scales)).round().astype(np.int32)
        w = self.model.tensor(shape, scales, data=weights, axis=axis)
        return w, self.model.tensor([channels], bias_scales, kind="INT32", data=bias), sigma

    def conv(
        self, x: int, channels: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), relu: int = RELU
    ) -> int:
        """CONV_2D, SAME."""
        _, height, width, depth = self.shapes[x]
        w, b, sigma = self._weights((channels, *kernel, depth), channels, 0, x)
        y = self.tensor([1, -(-height // stride[0]), -(-width // stride[1]), channels], *_range(sigma, relu))
        options = {"padding": 0, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": relu}
        self.model.operator("CONV_2D", [x, w, b], [y], table="Conv2DOptions", version=3, **options)
        return y

    def depthwise(self, x: int, kernel: tuple[int, int] = (3, 3), stride: int = 1) -> int:
        """DEPTHWISE_CONV_2D, SAME."""
        _, height, width, depth = self.shapes[x]
        w, b, sigma = self._weights((1, *kernel, depth), depth, 3, x)
        y = self.tensor([1, -(-height // stride), -(-width // stride), depth], *_range(sigma, RELU))
        options = {"padding": 0, "strideH": stride, "strideW": stride, "fusedActivationFunction": RELU}
        name, table = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        self.model.operator(name, [x, w, b], [y], table=table, version=3, depthMultiplier=1, **options)
        return y

    def add(self, x: int, z: int) -> int:
        """ADD with RELU."""
        y = self.tensor(self.shapes[x], *_range(1.4 * 50 * max(self.scales[x], self.scales[z]), RELU))
        self.model.operator("ADD", [x, z], [y], table="AddOptions", version=2, fusedActivationFunction=RELU)
        return y

    def pool(self, x: int) -> int:
        """AVERAGE_POOL_2D over everything, then RESHAPE to a row."""
        _, height, width, depth = self.shapes[x]
        y = self.tensor([1, 1, 1, depth], self.scales[x], self.zeros[x])
        geometry = {"strideH": height, "strideW": width, "filterHeight": height, "filterWidth": width, "padding": 1}
        self.model.operator("AVERAGE_POOL_2D", [x], [y], table="Pool2DOptions", version=2, **geometry)
        row = self.tensor([1, depth], self.scales[x], self.zeros[x])
        self.model.operator("RESHAPE", [y, self.model.constant([1, depth])], [row], table="ReshapeOptions")
        return row

    def dense(self, x: int, units: int, relu: int = RELU) -> int:
        """FULLY_CONNECTED, per tensor."""
        depth = self.shapes[x][-1]
        weights = self.rng.normal(0, 40, (units, depth)).clip(-127, 127).round().astype(np.int8)
        sigma = math.sqrt(depth) * 40 * 0.003 * 50 * self.scales[x]
        bias = (self.rng.normal(0, sigma / 4, units) / (0.003 * self.scales[x])).round().astype(np.int32)
        scale = float(np.float32(0.003))
        w = self.model.tensor((units, depth), scale, data=weights)
        b = self.model.tensor([units], scale * self.scales[x], kind="INT32", data=bias)
        y = self.tensor([1, units], *_range(sigma, relu))
        options = {"fusedActivationFunction": relu}
        self.model.operator("FULLY_CONNECTED", [x, w, b], [y], table="FullyConnectedOptions", version=4, **options)
        return y

    def softmax(self, x: int) -> int:
        """SOFTMAX."""
        y = self.tensor(self.shapes[x], 1 / 256, -128)
        self.model.operator("SOFTMAX", [x], [y], table="SoftmaxOptions", version=2, beta=1.0)
        return y


def _range(sigma: float, relu: int) -> tuple[float, int]:
    """A scale and zero point for values of that spread."""
    scale = float(np.float32((3 if relu else 6) * sigma / 255))
    return scale, -128 if relu else 0


def keyword_spotting() -> bytes:
    """A depthwise-separable CNN: 49x10 spectrogram, 64 channels, 12 words; 2.7 M multiply-accumulates."""
    net = Chain(1)
    first = net.tensor([1, 49, 10, 1], 0.05, 3)
    x = net.conv(first, 64, (10, 4), (2, 2))
    for _ in range(4):
        x = net.conv(net.depthwise(x), 64, (1, 1))
    x = net.softmax(net.dense(net.pool(x), 12, relu=0))
    return net.model.finish([first], [x])


def residual() -> bytes:
    """A small residual CNN: 32x32x3 image, three stages of 16, 32 and 64 channels, 10 classes; 12.5 M."""
    net = Chain(2)
    first = net.tensor([1, 32, 32, 3], 0.02, -3)
    x = net.conv(first, 16, (3, 3))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(x, channels, (3, 3), (stride, stride))
        y = net.conv(y, channels, (3, 3), relu=0)
        skip = x if stride == 1 else net.conv(x, channels, (1, 1), (stride, stride), relu=0)
        x = net.add(y, skip)
    x = net.softmax(net.dense(net.pool(x), 10, relu=0))
    return net.model.finish([first], [x])


def autoencoder() -> bytes:
    """A dense autoencoder for sounds: 640 inputs, layers of 128 around 8; 264 k."""
    net = Chain(3)
    first = net.tensor([1, 640], 0.04, 5)
    x = first
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, units)
    return net.model.finish([first], [net.dense(x, 640, relu=0)])


ZOO: dict[str, Callable[[], bytes]] = {"kws": keyword_spotting, "resnet": residual, "autoencoder": autoencoder}
