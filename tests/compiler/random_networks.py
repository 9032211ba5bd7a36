# SPDX-License-Identifier: Apache-2.0
"""Random networks of one or several operators, for property tests."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import reject
from hypothesis import strategies as st

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.pack_format import FORMAT_VERSION
from reconciler.compiler.tflite.model_interface import in_device_order
from reconciler.compiler.tflite.network_pack import DeviceLimits, NetworkPack, build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.tflite_builder import Model


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats that a model file can hold."""
    return st.floats(low, high, allow_subnormal=False).map(lambda value: float(np.float32(value)))


SCALE = floats(0.003, 2.0)
ZERO = st.integers(-128, 127)
ACTIVATION = st.sampled_from([0, 1, 3])  # none, RELU, RELU6


LARGEST_SCALE = float(np.finfo(np.float32).max)
# Scales that no converter would choose on purpose, and that damaged or made-up ranges give.
ODD_SCALE = st.sampled_from([
    1e-38, 1e-30, 1e-12, 1e-6, 2.0**-20, 1 / 256, 0.1, 0.5, 1.0, 2.0, 41 / 20, 1e3, 1e9, 1e30, 3e38,
]).map(lambda value: float(np.float32(value)))  # fmt: skip


@dataclass
class Draw:
    """Draws the parts of models from Hypothesis. With `odd`, scales and zero points are at the ends of their range."""

    data: st.DataObject
    odd: bool = False

    def scale(self) -> float:
        return float(self(ODD_SCALE if self.odd and self(st.booleans()) else SCALE))

    def zero(self) -> int:
        return int(self(st.sampled_from([-128, -127, 0, 127]) if self.odd else ZERO))

    def __call__(self, strategy: st.SearchStrategy[Any]) -> Any:  # noqa: ANN401 - whatever is drawn
        return self.data.draw(strategy)

    def size(self, low: int, high: int) -> int:
        return int(self(st.integers(low, high)))

    def int8(self, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(self.size(0, 2**32 - 1))
        spread = self.size(0 if self.odd else 1, 127)
        return rng.integers(-spread, spread + 1, shape).astype(np.int8)

    def biases(self, channels: int) -> np.ndarray[Any, Any]:
        most = self(st.sampled_from([1, 30000, 1 << 24, (1 << 31) - 1])) if self.odd else 30000
        return np.random.default_rng(self.size(0, 999)).integers(-most, most, channels).astype(np.int32)

    def scales(self, channels: int) -> list[float]:
        if self.odd and self(st.booleans()):
            return [self.scale() for _ in range(channels)]
        rng = np.random.default_rng(self.size(0, 2**32 - 1))
        low = self(st.sampled_from([1e-4, 1e-3, 1e-2]))
        return [float(np.float32(v)) for v in rng.uniform(low, 10 * low, channels)]


def same_or_valid(size: int, extent: int, stride: int, padding: int) -> int:
    """Return the output's size as TensorFlow computes it; padding 0 is SAME, 1 is VALID."""
    return math.ceil(size / stride) if padding == 0 else max(0, math.ceil((size - extent + 1) / stride))


def convolution(draw: Draw) -> bytes:
    """One convolution, ordinary or depthwise, one- or two-dimensional."""
    depthwise = draw(st.booleans())
    height, width, depth = draw.size(1, 9), draw.size(1, 11), 1 if draw(st.booleans()) else draw.size(2, 9)
    kernel = draw.size(1, min(4, height)), draw.size(1, min(5, width))
    padding, stride = draw(st.sampled_from([0, 1])), (draw.size(1, 3), draw.size(1, 3))
    dilation = (draw.size(1, 2), draw.size(1, 2)) if stride == (1, 1) else (1, 1)
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    out = tuple(
        max(1, same_or_valid(n, e, s, padding)) for n, e, s in zip((height, width), extent, stride, strict=True)
    )
    if padding == 1:
        height, width = max(height, extent[0]), max(width, extent[1])
        out = tuple(same_or_valid(n, e, s, 1) for n, e, s in zip((height, width), extent, stride, strict=True))
    multiplier = draw.size(1, 3)
    groups = 1 if depthwise else draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels = depth * multiplier if depthwise else groups * draw.size(1, 9)
    model = Model()
    x = model.tensor([1, height, width, groups * depth], draw.scale(), draw.zero())
    shape = (1, *kernel, channels) if depthwise else (channels, *kernel, depth)
    scales = draw.scales(channels)
    w = model.tensor(shape, scales, data=draw.int8(shape), axis=3 if depthwise else 0)
    bias = draw.biases(channels)
    b = model.tensor([channels], scales, kind="INT32", data=bias)
    y = model.tensor([1, *out, channels], draw.scale(), draw.zero())
    options = {
        "padding": padding, "strideH": stride[0], "strideW": stride[1],
        "dilationHFactor": dilation[0], "dilationWFactor": dilation[1], "fusedActivationFunction": draw(ACTIVATION),
    }  # fmt: skip
    if depthwise:
        model.operator(
            "DEPTHWISE_CONV_2D", [x, w, b], [y], table="DepthwiseConv2DOptions", depthMultiplier=multiplier, **options
        )
    else:
        model.operator("CONV_2D", [x, w, b], [y], table="Conv2DOptions", **options)
    return model.finish([x], [y])


def fully_connected(draw: Draw) -> bytes:
    """One dense layer: per tensor or per channel, with and without bias."""
    batch, depth, channels = draw.size(1, 3), draw.size(1, 90), draw.size(1, 12)
    model = Model()
    x_scale = draw.scale()
    x = model.tensor([batch, depth], x_scale, draw.zero())
    scales = draw.scales(channels if draw(st.booleans()) else 1)
    w = model.tensor((channels, depth), scales, data=draw.int8((channels, depth)))
    inputs = [x, w, -1]
    if draw(st.booleans()):
        bias = draw.biases(channels)
        inputs[2] = model.tensor([channels], [min(x_scale * s, LARGEST_SCALE) for s in scales], kind="INT32", data=bias)
    y = model.tensor([batch, channels], draw.scale(), draw.zero())
    table = {"table": "FullyConnectedOptions", "fusedActivationFunction": draw(ACTIVATION)}
    model.operator("FULLY_CONNECTED", inputs, [y], version=9, **table)
    return model.finish([x], [y])


def pool(draw: Draw) -> bytes:
    """One average or maximum pool."""
    size = draw.size(1, 10), draw.size(1, 10)
    kernel = draw.size(1, size[0]), draw.size(1, size[1])
    stride, padding = (draw.size(1, 3), draw.size(1, 3)), draw(st.sampled_from([0, 1]))
    out = [same_or_valid(n, k, s, padding) for n, k, s in zip(size, kernel, stride, strict=True)]
    depth, scale, zero = draw.size(1, 7), draw.scale(), draw.zero()
    model = Model()
    x = model.tensor([1, *size, depth], scale, zero)
    y = model.tensor([1, *out, depth], scale, zero)
    model.operator(
        draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), [x], [y], table="Pool2DOptions", padding=padding,
        filterHeight=kernel[0], filterWidth=kernel[1], strideH=stride[0], strideW=stride[1],
        fusedActivationFunction=draw(ACTIVATION),
    )  # fmt: skip
    return model.finish([x], [y])


def mean(draw: Draw) -> bytes:
    """The mean over any axes of any rank."""
    shape = [draw.size(1, 7) for _ in range(draw.size(1, 4))]
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = draw(st.booleans())
    out = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
    model = Model()
    x = model.tensor(shape, draw.scale(), draw.zero())
    y = model.tensor(out or [1], draw.scale(), draw.zero())
    spelled = [a - len(shape) if draw(st.booleans()) else a for a in axes]
    model.operator("MEAN", [x, model.constant(spelled)], [y], table="ReducerOptions", keepDims=keep)
    return model.finish([x], [y])


def reduce_max(draw: Draw) -> bytes:
    """The maximum over height, width or both."""
    rank = draw.size(3, 4)
    shape = [1, *(draw.size(1, 7) for _ in range(rank - 1))]
    axes = draw(st.sampled_from([[1], [1, 2], [2]] if rank == 4 else [[1]]))
    keep = draw(st.booleans())
    out = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
    model, scale, zero = Model(), draw.scale(), draw.zero()
    x, y = model.tensor(shape, scale, zero), model.tensor(out, scale, zero)
    model.operator("REDUCE_MAX", [x, model.constant(axes)], [y], table="ReducerOptions", version=2, keepDims=keep)
    return model.finish([x], [y])


def binary(draw: Draw) -> bytes:
    """ADD or MUL, with broadcasting and constants."""
    name = draw(st.sampled_from(["ADD", "MUL"]))
    shape = [draw.size(1, 5) for _ in range(4)]
    other = [d if draw(st.booleans()) else 1 for d in shape][draw.size(0, 3) :]
    model = Model()
    x = model.tensor(shape, draw.scale(), draw.zero())
    constant = draw(st.booleans())
    z = model.tensor(other, draw.scale(), draw.zero(), data=draw.int8(tuple(other)) if constant else None)
    y = model.tensor(shape, draw.scale(), draw.zero())
    order = [x, z] if draw(st.booleans()) else [z, x]
    model.operator(name, order, [y], table=f"{name.title()}Options", fusedActivationFunction=draw(ACTIVATION))
    return model.finish([x] if constant else order, [y])


def elementwise(draw: Draw) -> bytes:
    """One operator on each element."""
    name = draw(st.sampled_from(["QUANTIZE", "RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "GELU"]))
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    scale, zero = fixed.get(name, (draw.scale(), draw.zero()))
    shape = [draw.size(1, 3), draw.size(1, 200)]
    model = Model()
    x = model.tensor(shape, draw.scale(), draw.zero())
    y = model.tensor(shape, scale, zero)
    options: dict[str, Any] = {"QUANTIZE": {"table": "QuantizeOptions"}}.get(name, {})
    if name == "LEAKY_RELU":
        options = {"table": "LeakyReluOptions", "alpha": 0.3}
    model.operator(name, [x], [y], **options)
    return model.finish([x], [y])


def softmax(draw: Draw) -> bytes:
    """A softmax over rows."""
    shape = [draw.size(1, 4), draw.size(1, 40)]
    model = Model()
    x = model.tensor(shape, float(draw(floats(0.001, 20.0))), draw.zero())
    y = model.tensor(shape, 1 / 256, -128)
    model.operator("SOFTMAX", [x], [y], table="SoftmaxOptions", beta=float(draw(st.sampled_from([1.0, 0.5, 2.0]))))
    return model.finish([x], [y])


def movement(draw: Draw) -> bytes:
    """PAD, CONCATENATION and the operators that cost nothing."""
    scale, zero = draw.scale(), draw.zero()
    shape = [draw.size(1, 5) for _ in range(4)]
    model = Model()
    x = model.tensor(shape, scale, zero)
    pads = [[draw.size(0, 2), draw.size(0, 2)] for _ in shape]
    padded = [d + a + b for d, (a, b) in zip(shape, pads, strict=True)]
    p = model.tensor(padded, scale, zero)
    model.operator("PAD", [x, model.constant(pads)], [p], table="PadOptions")
    axis = draw.size(0, 3)
    joined = [2 * d if i == axis else d for i, d in enumerate(padded)]
    y = model.tensor(joined, scale, zero)
    model.operator("CONCATENATION", [p, p], [y], table="ConcatenationOptions", axis=axis - draw.size(0, 1) * 4)
    flat = model.tensor([math.prod(joined)], scale, zero)
    model.operator("RESHAPE", [y, model.constant([math.prod(joined)])], [flat], table="ReshapeOptions")
    wide = model.tensor([1, math.prod(joined)], scale, zero)
    model.operator("EXPAND_DIMS", [flat, model.constant([0])], [wide], table="ExpandDimsOptions")
    last = model.tensor([1, math.prod(joined)], scale, -zero if zero > -128 else 0)
    model.operator("QUANTIZE", [wide], [last], table="QuantizeOptions")
    return model.finish([x], [last])


def residual(draw: Draw) -> bytes:
    """A chain with a skip connection: several tensors are alive at once, so the arena layout matters."""
    model = Model()
    height, width, depth = draw.size(2, 6), draw.size(2, 6), draw.size(1, 5)
    at = model.tensor([1, height, width, depth], draw.scale(), draw.zero())
    first = at
    for _ in range(draw.size(1, 3)):
        shape = (depth, 3, 3, depth)
        scales = draw.scales(depth)
        w = model.tensor(shape, scales, data=draw.int8(shape))
        b = model.tensor([depth], scales, kind="INT32", data=np.arange(depth, dtype=np.int32) * 100)
        y = model.tensor([1, height, width, depth], draw.scale(), draw.zero())
        options = {"padding": 0, "strideH": 1, "strideW": 1, "fusedActivationFunction": draw(ACTIVATION)}
        model.operator("CONV_2D", [at, w, b], [y], table="Conv2DOptions", **options)
        total = model.tensor([1, height, width, depth], draw.scale(), draw.zero())
        model.operator("ADD", [y, at], [total], table="AddOptions")
        at = total
    y = model.tensor([1, depth], draw.scale(), draw.zero())
    model.operator("MEAN", [at, model.constant([1, 2])], [y], table="ReducerOptions")
    return model.finish([first], [y])


def padded(draw: Draw) -> bytes:
    """One or two PADs before a layer with a window. The fill is the zero point, the least value or another one."""
    scale, zero = draw.scale(), draw(st.sampled_from([-128, -3, 0, 127]))
    name = draw(st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    shape = [1, draw.size(1, 7), draw.size(1, 7), draw.size(1, 4)]
    model = Model()
    at = first = model.tensor(shape, scale, zero)
    for _ in range(draw.size(1, 2)):
        pads = [[0, 0], *([draw.size(0, 2), draw.size(0, 2)] for _ in range(2)), [0, draw.size(0, 3) // 3]]
        shape = [d + a + b for d, (a, b) in zip(shape, pads, strict=True)]
        target = model.tensor(shape, scale, zero)
        inputs = [at, model.constant(pads)]
        if draw(st.booleans()):
            fill = np.array([draw(st.sampled_from([zero, -128, 5]))], np.int8)
            model.operator(
                "PADV2", [*inputs, model.tensor([1], scale, zero, data=fill)], [target], table="PadV2Options"
            )
        else:
            model.operator("PAD", inputs, [target], table="PadOptions")
        at = target
    outputs = [at] if draw.size(0, 4) == 0 else []  # what is padded may also be read from outside
    kernel = draw.size(1, min(3, shape[1])), draw.size(1, min(4, shape[2]))
    stride, padding = (draw.size(1, 3), draw.size(1, 3)), draw(st.sampled_from([0, 1]))
    out = [same_or_valid(n, k, s, padding) for n, k, s in zip(shape[1:3], kernel, stride, strict=True)]
    options = {
        "padding": padding,
        "strideH": stride[0],
        "strideW": stride[1],
        "fusedActivationFunction": draw(ACTIVATION),
    }
    if name.endswith("POOL_2D"):
        y = model.tensor([1, *out, shape[3]], scale, zero)
        options |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
        model.operator(name, [at], [y], table="Pool2DOptions", **options)
        return model.finish([first], [*outputs, y])
    channels = shape[3] if name.startswith("DEPTHWISE") else draw.size(1, 5)
    filters = (1, *kernel, channels) if name.startswith("DEPTHWISE") else (channels, *kernel, shape[3])
    w = model.tensor(filters, draw.scales(channels), data=draw.int8(filters), axis=3 if filters[0] == 1 else 0)
    b = model.tensor([channels], 0.01, kind="INT32", data=np.arange(channels, dtype=np.int32) * 1000)
    y = model.tensor([1, *out, channels], draw.scale(), draw.zero())
    table = "DepthwiseConv2DOptions" if name.startswith("DEPTHWISE") else "Conv2DOptions"
    options |= {"depthMultiplier": 1} if name.startswith("DEPTHWISE") else {}
    model.operator(name, [at, w, b], [y], table=table, dilationHFactor=1, dilationWFactor=1, **options)
    return model.finish([first], [*outputs, y])


def transposed(draw: Draw) -> bytes:
    """A layer between transpositions, as models with channels first have it: at the input, and before a dense layer."""
    height, width, depth = draw.size(1, 5), draw.size(1, 5), draw.size(1, 4)
    scale, zero = draw.scale(), draw.zero()
    model = Model()
    first = model.tensor([1, depth, height, width], scale, zero)
    at = model.tensor([1, height, width, depth], scale, zero)
    model.operator("TRANSPOSE", [first, model.constant([0, 2, 3, 1])], [at], table="TransposeOptions")
    channels = draw.size(1, 6)
    w = model.tensor((channels, 1, 1, depth), draw.scales(channels), data=draw.int8((channels, 1, 1, depth)))
    b = model.tensor([channels], 0.01, kind="INT32", data=np.arange(channels, dtype=np.int32) * 1000)
    scale, zero = draw.scale(), draw.zero()
    y = model.tensor([1, height, width, channels], scale, zero)
    options = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    model.operator("CONV_2D", [at, w, b], [y], table="Conv2DOptions", **options)
    order = draw(st.permutations([0, 1, 2, 3]))
    shape = [[1, height, width, channels][axis] for axis in order]
    at = model.tensor(shape, scale, zero)
    model.operator("TRANSPOSE", [y, model.constant(order)], [at], table="TransposeOptions")
    if draw(st.booleans()):
        model.operator("RELU", [at], [at := model.tensor(shape, scale, zero)])
    flat = model.tensor([1, math.prod(shape)], scale, zero)
    model.operator("RESHAPE", [at, model.constant([1, math.prod(shape)])], [flat], table="ReshapeOptions")
    if draw(st.booleans()):
        scale, zero = 1 / 128, 0
        model.operator("TANH", [flat], [flat := model.tensor([1, math.prod(shape)], scale, zero)])
    units = draw.size(1, 5)
    w = model.tensor((units, math.prod(shape)), draw.scales(1), data=draw.int8((units, math.prod(shape))))
    y = model.tensor([1, units], draw.scale(), draw.zero())
    model.operator("FULLY_CONNECTED", [flat, w, -1], [y], table="FullyConnectedOptions", version=9)
    return model.finish([first], [y])


def slices(draw: Draw) -> bytes:
    """Parts of a tensor: by STRIDED_SLICE, SLICE, SPLIT or SPLIT_V, one after another."""
    scale, zero = draw.scale(), draw.zero()
    rank = draw.size(1, 4)
    shape = [draw.size(1, 6) for _ in range(rank)]
    model = Model()
    at = first = model.tensor(shape, scale, zero)
    for _ in range(draw.size(1, 2)):
        kind = draw(st.sampled_from(["STRIDED_SLICE", "SLICE", "SPLIT_V", "SPLIT"]))
        begins = [draw.size(0, d - 1) for d in shape]
        ends = [draw.size(b + 1, d) for b, d in zip(begins, shape, strict=True)]
        if kind == "STRIDED_SLICE":
            masks = draw.size(0, 15), draw.size(0, 15)
            steps = [draw.size(1, 2) if axis in {0, rank - 1} and shape[axis] % 2 == 0 else 1 for axis in range(rank)]
            begins = [0 if masks[0] >> axis & 1 or steps[axis] > 1 else b for axis, b in enumerate(begins)]
            ends = [shape[axis] if masks[1] >> axis & 1 or steps[axis] > 1 else e for axis, e in enumerate(ends)]
            shape = [len(range(b, e, s)) for b, e, s in zip(begins, ends, steps, strict=True)]
            target = model.tensor(shape, scale, zero)
            bounds = [model.constant(values) for values in (begins, ends, steps)]
            model.operator(
                kind, [at, *bounds], [target], table="StridedSliceOptions", beginMask=masks[0], endMask=masks[1]
            )
        elif kind == "SLICE":
            to_end = draw(st.booleans())
            sizes = [d - b if to_end else e - b for b, e, d in zip(begins, ends, shape, strict=True)]
            shape = sizes
            target = model.tensor(shape, scale, zero)
            given = [-1] * rank if to_end else sizes
            model.operator(kind, [at, model.constant(begins), model.constant(given)], [target], table="SliceOptions")
        else:
            axis = draw.size(0, rank - 1)
            count = draw.size(1, shape[axis]) if kind == "SPLIT_V" else draw.size(1, 2) if shape[axis] % 2 == 0 else 1
            sizes = [shape[axis] // count] * count if kind == "SPLIT" else [1] * (count - 1) + [shape[axis] - count + 1]
            parts = [model.tensor([*shape[:axis], size, *shape[axis + 1 :]], scale, zero) for size in sizes]
            axes = model.constant(axis - draw.size(0, 1) * rank)
            inputs = [axes, at] if kind == "SPLIT" else [at, model.constant(sizes), axes]
            model.operator(kind, inputs, parts, table=f"{kind.title().replace('_', '')}Options", numSplits=count)
            chosen = draw.size(0, count - 1)
            target, shape = parts[chosen], [*shape[:axis], sizes[chosen], *shape[axis + 1 :]]
        at = target
    y = model.tensor(shape, draw.scale(), draw.zero())
    model.operator("QUANTIZE", [at], [y], table="QuantizeOptions")
    return model.finish([first], [y, at] if draw(st.booleans()) else [y])


def streaming(draw: Draw) -> bytes:
    """Layers that keep what they need of the past in variables: windows over time, sums and delays."""
    model = Model()
    scale, zero = draw.scale(), draw.zero()
    rows, width, depth = draw.size(1, 3), draw.size(1, 3), draw.size(1, 5)
    at = first = model.tensor([1, rows, width, depth], scale, zero)
    outputs = []
    for _ in range(draw.size(1, 3)):
        kind = draw(st.sampled_from(["window", "window", "sum", "delay"]))
        kept = draw.size(1, 5) if kind == "window" else rows
        initial = np.full((1, kept, width, depth), draw.zero(), np.int8)
        variable = model.variable(initial.shape, scale, zero, initial)
        past = model.tensor(initial.shape, scale, zero)
        model.operator("READ_VARIABLE", [variable], [past])
        if kind == "window":
            at = _window(draw, model, (variable, past, at), (scale, zero), (kept, rows, width, depth))
            shape = (draw.size(1, 5), draw.size(1, kept + rows), 1, depth)
            w = model.tensor(shape, draw.scales(shape[0]), data=draw.int8(shape))
            b = model.tensor([shape[0]], 0.01, kind="INT32", data=np.arange(shape[0], dtype=np.int32) * 100)
            rows, depth, scale, zero = kept + rows - shape[1] + 1, shape[0], draw.scale(), draw.zero()
            y = model.tensor([1, rows, width, depth], scale, zero)
            options = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
            model.operator("CONV_2D", [at, w, b], [y], table="Conv2DOptions", **options)
            at = y
        elif kind == "sum":
            total = model.tensor([1, rows, width, depth], scale, zero)
            model.operator("ADD", [past, at], [total], table="AddOptions")
            model.operator("ASSIGN_VARIABLE", [variable, total], [])
            at = total
        else:  # what was assigned one inference ago
            model.operator("ASSIGN_VARIABLE", [variable, at], [])
            if draw(st.booleans()):
                both = model.tensor([1, rows, width, depth], scale, zero)
                model.operator("ADD", [past, at], [both], table="AddOptions")
                past = both
            at = past
        if draw.size(0, 3) == 0:
            outputs.append(at)
    flat = model.tensor([1, rows * width * depth], scale, zero)
    model.operator("RESHAPE", [at, model.constant([1, rows * width * depth])], [flat], table="ReshapeOptions")
    y = model.tensor([1, rows * width * depth], draw.scale(), draw.zero())
    model.operator("QUANTIZE", [flat], [y], table="QuantizeOptions")
    return model.finish([first], [*outputs, y])


def _window(
    draw: Draw,
    model: Model,
    tensors: tuple[int, int, int],
    quantization: tuple[float, int],
    sizes: tuple[int, int, int, int],
) -> int:
    """Join what was kept with the new rows, and keep the younger ones; sometimes in an order that has no short form."""
    (variable, past, new), (kept, rows, width, depth) = tensors, sizes
    joined = model.tensor([1, kept + rows, width, depth], *quantization)
    order = [new, past] if draw.size(0, 4) == 0 else [past, new]
    model.operator("CONCATENATION", order, [joined], table="ConcatenationOptions", axis=1)
    younger = model.tensor([1, kept, width, depth], *quantization)
    begin = rows if draw.size(0, 4) else 0
    bounds = [model.constant(v) for v in ([0, begin, 0, 0], [0, begin + kept, 0, 0], [1, 1, 1, 1])]
    model.operator("STRIDED_SLICE", [joined, *bounds], [younger], table="StridedSliceOptions", beginMask=13, endMask=13)
    model.operator("ASSIGN_VARIABLE", [variable, younger], [])
    return joined


def svdf(draw: Draw) -> bytes:
    """One SVDF, whose filters over time are sometimes so large that their sum wraps."""
    depth, units, rank, size = draw.size(1, 20), draw.size(1, 6), draw.size(1, 3), draw.size(1, 9)
    filters = units * rank
    model = Model()
    x = model.tensor([1, depth], draw.scale(), draw.zero())
    w = model.tensor([filters, depth], draw.scales(1), data=draw.int8((filters, depth)))
    spread = draw(st.sampled_from([100, 3000, 32767]))
    rng = np.random.default_rng(draw.size(0, 999))
    of_time, of_memory = draw.scales(1)[0], float(draw(floats(1e-4, 0.1)))
    time = model.tensor(
        [filters, size], of_time, kind="INT16", data=rng.integers(-spread, spread + 1, (filters, size), np.int16)
    )
    b = model.tensor([units], 0.001, kind="INT32", data=draw.biases(units)) if draw(st.booleans()) else -1
    memory = model.state([1, filters * size], of_memory)
    least = 2 * of_time * of_memory  # of the scales of sums: with a smaller one the builder refuses the model
    scale = min(draw.scale() * (200.0 if spread > 100 else 1.0), LARGEST_SCALE)
    y = model.tensor([1, units], max(least, scale), draw.zero())
    model.operator("SVDF", [x, w, time, b, memory], [y], table="SVDFOptions", rank=rank, fusedActivationFunction=1)
    return model.finish([x], [y])


def lstm(draw: Draw) -> bytes:
    """One LSTM over a sequence, as the converter quantizes it."""
    steps, depth, units = draw.size(1, 5), draw.size(1, 9), draw.size(1, 7)
    model = Model()
    time_major = draw(st.booleans())
    x_scale, scale, zero = draw.scale(), float(draw(floats(0.002, 0.02))), draw.zero()
    x = model.tensor([steps, 1, depth] if time_major else [1, steps, depth], x_scale, draw.zero())
    of_inputs, of_loops = draw.scales(4), draw.scales(4)
    inputs = [model.tensor([units, depth], s, data=draw.int8((units, depth))) for s in of_inputs]
    loops = [model.tensor([units, units], s, data=draw.int8((units, units))) for s in of_loops]
    biases = [
        model.tensor([units], min(x_scale * s, LARGEST_SCALE), kind="INT32", data=draw.biases(units)) for s in of_inputs
    ]
    hidden = model.state([1, units], scale, zero, "INT8")
    cell = model.state([1, units], 2.0 ** (draw.size(0, 6) - 15))
    gates = [model.tensor([0], 2.0**-12, kind="INT16") for _ in range(4)]
    made = model.tensor([0], scale if draw(st.booleans()) else float(draw(floats(0.002, 0.02))), draw.zero())
    y = model.tensor([steps, 1, units] if time_major else [1, steps, units], scale, zero)
    model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inputs, *loops, *[-1] * 3, *biases, -1, -1, hidden, cell, *[-1] * 4], [y],
        table="UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4, timeMajor=time_major, projClip=0.0,
        cellClip=float(draw(st.sampled_from([0.0, 10.0, 0.25]))), intermediates=[*gates, made],
    )  # fmt: skip
    return model.finish([x], [y])


def in_device_layout(network: NetworkPack, inputs: Sequence[np.ndarray[Any, Any]]) -> list[bytes]:
    """Return the inputs of a model's file as the pack takes them."""
    pairs = zip(inputs, network.input_orders, strict=True)
    return [in_device_order(values, order).tobytes() for values, order in pairs]


def oracle_and_network(model: bytes, version: int = FORMAT_VERSION) -> tuple[Oracle, NetworkPack]:
    """Return both sides. If the oracle refuses a model, the builder must refuse it too, and another one is drawn.

    Only the builder refuses dense layers that no multiplier reproduces exactly (`solve_single_rounding`). Hypothesis
    fails a test if too many examples are refused.
    """
    try:
        oracle = Oracle(model)
    except OperatorUnsupported as theirs:
        with pytest.raises(OperatorUnsupported, match=re.escape(str(theirs).split(":")[0])):
            build_network(model)
        reject()
    try:
        return oracle, build_network(model, limits=DeviceLimits(version))
    except OperatorUnsupported as ours:
        if "FullyConnectedInexact" not in str(ours):
            raise
        reject()


KINDS = {
    f.__name__: f
    for f in (
        convolution,
        fully_connected,
        pool,
        mean,
        reduce_max,
        binary,
        elementwise,
        softmax,
        movement,
        residual,
        padded,
        transposed,
        slices,
        streaming,
        svdf,
        lstm,
    )
}
