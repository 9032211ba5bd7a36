# SPDX-License-Identifier: Apache-2.0
"""Lowers the operators with windows, weights or axes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import DoesNotFit, OperatorUnsupported
from reconciler.compiler.pack.fixed_point import (
    INT32_MAX,
    Band,
    quantize_multiplier,
    round_half_away,
    solve_single_rounding,
)
from reconciler.compiler.pack.operators import (
    AveragePool,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool,
    Mean,
    Pad,
)
from reconciler.compiler.tflite.graph_reader import Node, Tensor, is_scale
from reconciler.compiler.tflite.plan_builder import PlanBuilder, Value
from reconciler.compiler.tflite.window import Window

Ints = npt.NDArray[np.int64]
Geometry = tuple[int, int, int, int, int, int, int, int]
_LARGEST_OFFSET = 128  # what a zero point can add


def activation_range(kind: int, value: Value, node: Node) -> tuple[int, int]:
    """Return the clamp on an output that a fused activation means."""
    activation = schema.ActivationFunctionType

    def quantized(real: float) -> int:
        if not abs(real) / value.scale <= INT32_MAX:
            raise OperatorUnsupported(
                f"{node.location}: the scale {value.scale} of the output is too small for its activation: "
                "quantize with representative data that covers the real range"
            )
        step = float(np.float32(real) / np.float32(value.scale))
        return value.zero_point + round_half_away(step)

    if kind == activation.NONE:
        return -128, 127
    bounds = {
        activation.RELU: (0.0, math.inf),
        activation.RELU6: (0.0, 6.0),
        activation.RELU_N1_TO_1: (-1.0, 1.0),
    }
    if kind not in bounds:
        raise OperatorUnsupported(f"{node.location}: fused activation {kind} is not supported; use RELU or RELU6")
    least, most = bounds[kind]
    low = max(-128, quantized(least))
    high = 127 if most == math.inf else min(127, quantized(most))
    return min(low, 127), max(high, -128)


def int8_weights(plan: PlanBuilder, node: Node, position: int = 1) -> tuple[Tensor, Ints]:
    """Return weights that must be symmetric int8, and their values."""
    tensor = plan.constant(node, position)
    if tensor.type != "INT8":
        raise OperatorUnsupported(
            f"{node.location}: the weights are {tensor.type}: quantize the whole model to full int8"
        )
    if any(tensor.zero_points):
        raise OperatorUnsupported(
            f"{node.location}: the weights have a zero point, but packs hold symmetric weights: convert the model again"
        )
    return tensor, np.frombuffer(tensor.data or b"", "<i1").astype(np.int64).reshape(tensor.shape)


def bias_of(plan: PlanBuilder, node: Node, channels: int, position: int = 2) -> Ints:
    """Return the bias of each channel, 0 if it is omitted."""
    tensor = plan.optional(node, position)
    if tensor is None:
        return np.zeros(channels, np.int64)
    if tensor.type != "INT32" or tensor.elements != channels:
        raise OperatorUnsupported(
            f"{node.location}: the bias is {tensor.type} of {tensor.elements}, not INT32 of {channels}"
        )
    return np.array(plan.constant(node, position).ints(), np.int64)


def _scales(tensor: Tensor, channels: int, node: Node) -> list[float]:
    if len(tensor.scales) not in {1, channels} or not all(map(is_scale, tensor.scales)):
        raise OperatorUnsupported(
            f"{node.location}: the weights have {len(tensor.scales)} scales for {channels} channels, or one that is "
            "subnormal, not finite or not above 0"
        )
    return list(tensor.scales) if len(tensor.scales) == channels else list(tensor.scales) * channels


def accumulator_bands(by_channel: Ints, bias: Ints, node: Node) -> list[Band]:
    """Return the least and the largest accumulator of each channel; refuse those that do not fit 32 bits."""
    from_least, from_most = by_channel * -128, by_channel * 127
    low = bias + np.minimum(from_least, from_most).sum(axis=1)
    high = bias + np.maximum(from_least, from_most).sum(axis=1)
    largest = int(max(np.abs(low).max(), np.abs(high).max()))
    if largest > INT32_MAX:
        raise DoesNotFit(
            f"{node.location}: an accumulator can reach {largest}, which does not fit 32 bits: "
            "use a smaller layer, or smaller biases"
        )
    return list(zip(low.tolist(), high.tolist(), strict=True))


def lower_conv(plan: PlanBuilder, node: Node) -> None:
    """CONV_2D."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    tensor, weights = int8_weights(plan, node)
    channels, kernel_h, kernel_w, depth = weights.shape
    if x.dims[3] % depth or channels % (x.dims[3] // depth) or channels != y.dims[3]:
        raise OperatorUnsupported(f"{node.location}: {x.dims[3]} channels do not match filters of depth {depth}")
    offsets = _convolution_arrays(plan, node, weights.reshape(channels, -1), tensor.data or b"", (x, y))
    geometry = _geometry(node, x, y, (kernel_h, kernel_w))
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    plan.emit(Conv2D(source, target, low, high, *offsets, *geometry, x.dims[3] // depth))


def lower_depthwise(plan: PlanBuilder, node: Node) -> None:
    """DEPTHWISE_CONV_2D; with one input channel it is a CONV_2D, whose weights are in another order."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    tensor, weights = int8_weights(plan, node)
    _, kernel_h, kernel_w, channels = weights.shape
    if channels % x.dims[3] or channels != y.dims[3]:
        raise OperatorUnsupported(f"{node.location}: {channels} filters do not match {x.dims[3]} channels")
    by_channel = weights.reshape(-1, channels).T
    data = by_channel.astype("i1").tobytes() if x.dims[3] == 1 else tensor.data or b""
    offsets = _convolution_arrays(plan, node, by_channel, data, (x, y))
    geometry = _geometry(node, x, y, (kernel_h, kernel_w))
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    if x.dims[3] == 1:
        plan.emit(Conv2D(source, target, low, high, *offsets, *geometry, 1))
        return
    plan.emit(DepthwiseConv2D(source, target, low, high, *offsets, *geometry, channels // x.dims[3]))


def _convolution_arrays(
    plan: PlanBuilder, node: Node, by_channel: Ints, data: bytes, values: tuple[Value, Value]
) -> tuple[int, int, int, int]:
    """Fold the zero point into the bias, and return the offsets of weights, bias, multipliers and shifts."""
    x, y = values
    channels, scales = len(by_channel), _scales(plan.constant(node, 1), len(by_channel), node)
    bias = bias_of(plan, node, channels) - x.zero_point * by_channel.sum(axis=1)
    bands = accumulator_bands(by_channel, bias, node)
    real = [float(x.scale) * scale / float(y.scale) for scale in scales]
    scaled = [scaled_multiplier(node, each, max(-low, high)) for each, (low, high) in zip(real, bands, strict=True)]
    return (
        plan.blob(data),
        plan.array(bias, "<i4"),
        plan.array(np.array([m for m, _ in scaled], np.int64), "<i4"),
        plan.array(np.array([s for _, s in scaled], np.int64), "i1"),
    )


def _geometry(node: Node, x: Value, y: Value, kernel: tuple[int, int]) -> Geometry:
    strides = node.option("strideH"), node.option("strideW")
    dilations = node.option("dilationHFactor"), node.option("dilationWFactor")
    pads = _paddings(node, x, y, [Window(*of_axis) for of_axis in zip(kernel, strides, dilations, strict=True)])
    return (*kernel, *strides, *dilations, *pads)


def _paddings(node: Node, x: Value, y: Value, windows: list[Window]) -> tuple[int, int]:
    """Return the padding at the top and at the left."""
    pads = []
    for axis, window in enumerate(windows, 1):
        size_in, size_out = x.dims[axis], y.dims[axis]
        pad = window.padding(size_in, size_out, node.option("padding"), node.border[axis - 1])
        if not window.fits(size_in, size_out, pad):
            raise OperatorUnsupported(
                f"{node.location}: kernel {window.kernel}, stride {window.stride} and dilation {window.dilation} "
                f"cannot produce {size_out} from {size_in}"
            )
        pads.append(pad)
    return pads[0], pads[1]


def lower_fully_connected(plan: PlanBuilder, node: Node) -> None:
    """FULLY_CONNECTED."""
    if node.option("weightsFormat") != 0:
        raise OperatorUnsupported(f"{node.location}: the weights are shuffled: convert the model without shuffling")
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    tensor, weights = int8_weights(plan, node)
    channels, depth = weights.shape
    if x.elements % depth or y.elements != x.elements // depth * channels:
        raise OperatorUnsupported(f"{node.location}: weights of {channels} by {depth} do not match {x.elements} inputs")
    bias = bias_of(plan, node, channels) - x.zero_point * weights.sum(axis=1)
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    real = [float(x.scale) * scale / float(y.scale) for scale in _scales(tensor, channels, node)]
    solved = _single_roundings(
        node, real, (low - y.zero_point, high - y.zero_point), accumulator_bands(weights, bias, node)
    )
    batches = x.elements // depth
    source = plan.view(source, (1, 1, batches, depth))
    target = plan.view(target, (1, 1, batches, channels))
    offsets = (
        plan.blob(tensor.data or b""),
        plan.array(bias, "<i4"),
        plan.array(np.array([m for m, _ in solved], np.int64), "<i4"),
        plan.array(np.array([s for _, s in solved], np.int64), "i1"),
    )
    plan.emit(FullyConnected(source, target, low, high, *offsets, int(len(solved) > 1)))


def _single_roundings(node: Node, scales: list[float], outputs: Band, bands: list[Band]) -> list[tuple[int, int]]:
    """Return one multiplier and shift for all units if they have one scale and it can be found, else one for each."""
    for scale, band in zip(scales, bands, strict=True):
        reach = scale * max(-band[0], band[1])
        if not reach <= INT32_MAX - _LARGEST_OFFSET:
            raise _scaled_too_large(node, reach)
    if len(set(scales)) == 1:
        shared = solve_single_rounding(
            scales[0], outputs, (min(low for low, _ in bands), max(high for _, high in bands))
        )
        if shared is not None:
            return [shared]
    solved = []
    for unit, (scale, band) in enumerate(zip(scales, bands, strict=True)):
        solution = solve_single_rounding(scale, outputs, band)
        if solution is None:
            raise OperatorUnsupported(
                f"{node.location}: FullyConnectedInexact: unit {unit} multiplies sums from {band[0]} to {band[1]} by "
                f"{scale!r} (input scale times weight scale by output scale), and no 31-bit multiplier reproduces the "
                "oracle for all of them: retrain the layer, or quantize with other representative data"
            )
        solved.append(solution)
    return solved


def scaled_multiplier(node: Node, real: float, largest: int) -> tuple[int, int]:
    """Return a multiplier and its shift for values up to `largest`; refuse them if 32 bits cannot hold the products."""
    if not real <= INT32_MAX:
        raise _scaled_too_large(node, real * largest)
    multiplier, shift = quantize_multiplier(real)
    _check_scaled(node, largest, shift)
    return multiplier, shift


def _check_scaled(node: Node, largest: int, shift: int) -> None:
    """Refuse a value that the oracle cannot scale with 32 bits (MBQM) and add a zero point to."""
    if largest << max(shift, 0) > INT32_MAX - _LARGEST_OFFSET:
        raise _scaled_too_large(node, float(largest << max(shift, 0)))


def _scaled_too_large(node: Node, largest: float) -> DoesNotFit:
    return DoesNotFit(
        f"{node.location}: a scaled value can reach {largest:.3g}, which does not fit 32 bits: the scale of the output "
        "is far too small for that of the input; quantize with representative data that covers the real range"
    )


def lower_average_pool(plan: PlanBuilder, node: Node) -> None:
    """AVERAGE_POOL_2D."""
    plan.emit(AveragePool(*_pool(plan, node)))


def lower_max_pool(plan: PlanBuilder, node: Node) -> None:
    """MAX_POOL_2D."""
    plan.emit(MaxPool(*_pool(plan, node)))


def _pool(plan: PlanBuilder, node: Node) -> tuple[int, ...]:
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise OperatorUnsupported(f"{node.location}: the pool changes the scale: convert the model again")
    kernel = node.option("filterHeight"), node.option("filterWidth")
    strides = node.option("strideH"), node.option("strideW")
    pads = _paddings(node, x, y, [Window(*of_axis) for of_axis in zip(kernel, strides, strict=True)])
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    return (source, target, low, high, *kernel, *strides, *pads)


def lower_reduce_max(plan: PlanBuilder, node: Node) -> None:
    """REDUCE_MAX over height, width or both, as a max pool."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    axes = _reduced_axes(plan, node)
    if not axes <= {1, 2} or (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise OperatorUnsupported(f"{node.location}: only height and width can be reduced, without a change of scale")
    height, width = (x.dims[axis] if axis in axes else 1 for axis in (1, 2))
    target = plan.view(target, (x.dims[0], x.dims[1] // height, x.dims[2] // width, x.dims[3]))
    plan.emit(MaxPool(source, target, -128, 127, height, width, 1, 1, 0, 0))


def _reduced_axes(plan: PlanBuilder, node: Node) -> set[int]:
    rank = len(plan.tensor(node, 0).shape)
    return {axis % rank + 4 - rank for axis in plan.constant(node, 1).ints()}


def lower_mean(plan: PlanBuilder, node: Node) -> None:
    """MEAN over any axes."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    axes = _reduced_axes(plan, node)
    count = math.prod(x.dims[axis] for axis in axes)
    multiplier, shift = _mean_multiplier(x.scale, y.scale, count)
    _check_scaled(node, count * x.reach, shift)
    reduced = [1 if axis in axes else size for axis, size in enumerate(x.dims)]
    target = plan.view(target, (reduced[0], reduced[1], reduced[2], reduced[3]))
    plan.emit(Mean(source, target, -128, 127, multiplier, shift, sum(1 << axis for axis in axes)))


def _mean_multiplier(scale_in: float, scale_out: float, count: int) -> tuple[int, int]:
    """Fold the division by the count into the multiplier, as the oracle does."""
    multiplier, exponent = quantize_multiplier(float(scale_in) / float(scale_out))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


def lower_pad(plan: PlanBuilder, node: Node) -> None:
    """PAD with the zero point, PADV2 with a constant."""
    source, target = plan.input(node), plan.output(node)
    y = plan.values[target]
    pairs = plan.constant(node, 1).ints()
    before = [0] * (4 - len(pairs) // 2) + pairs[::2]
    if min(pairs) < 0:
        raise OperatorUnsupported(f"{node.location}: negative padding crops the input: crop it before the model")
    fill = y.zero_point
    if node.name == "PADV2":
        fill = plan.constant(node, 2).ints()[0]
    plan.emit(Pad(source, target, fill, fill, *before))


def lower_concatenation(plan: PlanBuilder, node: Node) -> None:
    """CONCATENATION: a strided copy for each input."""
    target = plan.output(node)
    y = plan.values[target]
    rank = len(plan.graph.tensors[node.outputs[0]].shape)
    axis = node.option("axis") % rank + 4 - rank
    if node.option("fusedActivationFunction") != 0:
        raise OperatorUnsupported(f"{node.location}: a fused activation is not supported: use a separate RELU")
    start = 0
    for position in range(len(node.inputs)):
        source = plan.input(node, position)
        x = plan.values[source]
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise OperatorUnsupported(
                f"{node.location}: the inputs and the output differ in scale: convert the model again"
            )
        block = math.prod(x.dims[axis:])
        plan.emit(Concatenation(source, target, -128, 127, block, math.prod(y.dims[axis:]), start))
        start += block
