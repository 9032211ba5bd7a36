# SPDX-License-Identifier: Apache-2.0
"""Small networks in many sizes: what the cost model is fitted to and, with other seeds, tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.zoo import Chain
from reconciler.compiler.tflite.network_pack import DeviceLimits, build_network
from tests.compiler.tflite_builder import Model

PLAIN, WIDE = 1, 2
FITTED_SEEDS, UNSEEN_SEEDS = (1, 2, 3, 4), (9, 21, 22)


class Sizes:
    """Draws sizes from a seed."""

    def __init__(self, seed: int, number: int) -> None:
        self.number = number
        self._rng = np.random.default_rng([seed, number])

    def one_of(self, *values: int) -> int:
        """Return one of some values."""
        return int(self._rng.choice(values))


def _convolution(sizes: Sizes) -> bytes:
    net = Chain(sizes.one_of(*range(99)))
    kernel = sizes.one_of(1, 3, 3, 5)
    shape = [1, sizes.one_of(4, 9, 14), sizes.one_of(5, 8, 15), sizes.one_of(1, 3, 8, 20, 32)]
    first = net.tensor(shape, 0.05, 3)
    stride = sizes.one_of(1, 1, 2)
    return net.model.finish([first], [net.conv(first, sizes.one_of(4, 8, 17, 32), (kernel, kernel), (stride, stride))])


def _depthwise(sizes: Sizes) -> bytes:
    net = Chain(sizes.one_of(*range(99)))
    shape = [1, sizes.one_of(5, 12, 24), sizes.one_of(4, 11, 24), sizes.one_of(3, 8, 16, 31)]
    first = net.tensor(shape, 0.05, 3)
    kernel = sizes.one_of(3, 3, 3, 5)
    return net.model.finish([first], [net.depthwise(first, (kernel, kernel), sizes.one_of(1, 1, 2))])


def _dense(sizes: Sizes) -> bytes:
    net = Chain(sizes.one_of(*range(99)))
    first = net.tensor([1, sizes.one_of(8, 10, 33, 64, 200)], 0.05, 3)
    middle = net.dense(first, sizes.one_of(4, 16, 60, 128))
    return net.model.finish([first], [net.dense(middle, sizes.one_of(3, 10, 40))])


def _sum(sizes: Sizes) -> bytes:
    net = Chain(sizes.one_of(*range(99)))
    shape = [1, sizes.one_of(4, 10), sizes.one_of(5, 12), sizes.one_of(4, 16)]
    first, second = net.tensor(shape, 0.05, 3), net.tensor(shape, 0.03, -9)
    return net.model.finish([first, second], [net.add(first, second)])


def _classified(sizes: Sizes) -> bytes:
    net = Chain(sizes.one_of(*range(99)))
    shape = [1, sizes.one_of(4, 10, 25), sizes.one_of(5, 12), sizes.one_of(8, 16, 48)]
    first = net.tensor(shape, 0.05, 3)
    row = net.pool(first)
    return net.model.finish([first], [net.softmax(row) if sizes.one_of(0, 1) else row])


_ELEMENTWISE = ("QUANTIZE", "TANH", "MUL", "PAD", "MEAN", "SOFTMAX", "CONCATENATION")


def _elementwise(sizes: Sizes) -> bytes:
    name = _ELEMENTWISE[sizes.number % len(_ELEMENTWISE)]
    shape = [1, sizes.one_of(3, 8), sizes.one_of(4, 9), sizes.one_of(5, 16)]
    model = Model()
    x = model.tensor(shape, 0.05, 3)
    if name == "MEAN":
        y = model.tensor([1, shape[3]], 0.02, 3)
        model.operator("MEAN", [x, model.constant([1, 2])], [y], table="ReducerOptions")
    elif name == "PAD":
        y = model.tensor([1, shape[1] + 2, shape[2] + 2, shape[3]], 0.05, 3)
        model.operator("PAD", [x, model.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], [y], table="PadOptions")
    elif name == "CONCATENATION":
        axis = sizes.one_of(1, 2, 3)
        y = model.tensor([size * (1 + (i == axis)) for i, size in enumerate(shape)], 0.05, 3)
        model.operator(name, [x, x], [y], table="ConcatenationOptions", axis=axis)
    elif name == "MUL":
        y = model.tensor(shape, 0.1, 5)
        model.operator("MUL", [x, x], [y], table="MulOptions")
    else:
        scale, zero = {"TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128)}.get(name, (0.03, 5))
        y = model.tensor(shape, scale, zero)
        tables: dict[str, dict[str, Any]] = {
            "SOFTMAX": {"table": "SoftmaxOptions", "beta": 1.0},
            "QUANTIZE": {"table": "QuantizeOptions"},
        }
        model.operator(name, [x], [y], **tables.get(name, {}))
    return model.finish([x], [y])


def _filtered(sizes: Sizes) -> bytes:
    depth, units, rank, size = sizes.one_of(10, 32, 40), sizes.one_of(8, 24), sizes.one_of(1, 2), sizes.one_of(5, 12)
    rng = np.random.default_rng(sizes.number)
    model = Model()
    x, y = model.tensor([1, depth], 0.05, 3), model.tensor([1, units], 0.6, -128)
    shape = (units * rank, depth)
    w = model.tensor(shape, 0.01, data=rng.integers(-127, 128, shape, np.int8))
    shape = (units * rank, size)
    t = model.tensor(shape, 0.0001, kind="INT16", data=rng.integers(-9000, 9000, shape, np.int16))
    memory = model.state([1, units * rank * size], 0.001)
    model.operator("SVDF", [x, w, t, -1, memory], [y], table="SVDFOptions", rank=rank, fusedActivationFunction=1)
    return model.finish([x], [y])


def _sequence(sizes: Sizes) -> bytes:
    steps, depth, units = sizes.one_of(1, 8, 20), sizes.one_of(3, 8, 20), sizes.one_of(6, 16, 32)
    rng = np.random.default_rng(sizes.number)
    model = Model()
    x, y = model.tensor([1, steps, depth], 0.05, 3), model.tensor([1, steps, units], 1 / 128, 0)
    parts = [(units, depth)] * 4 + [(units, units)] * 4
    weights = [model.tensor(shape, 0.01, data=rng.integers(-127, 128, shape, np.int8)) for shape in parts]
    biases = [model.tensor([units], 0.0005, kind="INT32", data=np.zeros(units, np.int32)) for _ in range(4)]
    states = model.state([1, units], 1 / 128, 0, "INT8"), model.state([1, units], 2.0**-11)
    inside = [*(model.tensor([0], 2.0**-12, kind="INT16") for _ in range(4)), model.tensor([0], 1 / 128, 0)]
    model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *weights, *[-1] * 3, *biases, -1, -1, *states, *[-1] * 4], [y],
        table="UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4, cellClip=10.0, intermediates=inside,
    )  # fmt: skip
    return model.finish([x], [y])


_LAYERS: dict[str, tuple[Callable[[Sizes], bytes], int, tuple[int, ...]]] = {
    "convolution": (_convolution, 12, (WIDE, WIDE, PLAIN)),
    "depthwise": (_depthwise, 10, (WIDE, WIDE, PLAIN)),
    "dense": (_dense, 8, (WIDE, WIDE, PLAIN)),
    "sum": (_sum, 2, (WIDE,)),
    "classified": (_classified, 4, (WIDE,)),
    "elementwise": (_elementwise, len(_ELEMENTWISE), (WIDE,)),
    "filtered": (_filtered, 3, (WIDE,)),
    "sequence": (_sequence, 4, (WIDE,)),
}


def layer_packs(seed: int, share: float = 1.0) -> Iterator[tuple[str, bytes]]:
    """Yield packs with their names; a share below 1 yields fewer of each kind."""
    for kind, (make, count, versions) in _LAYERS.items():
        for number in range(max(1, round(share * count))):
            sizes = Sizes(seed, number)
            version = versions[number % len(versions)]
            yield f"{kind} {number}, format {version}", build_network(make(sizes), limits=DeviceLimits(version)).data
