# SPDX-License-Identifier: Apache-2.0
"""Lowering of operators with windows, weights or axes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import DoesNotFit, OperatorUnsupported
from reconciler.compiler.pack.fixed_point import quantize_multiplier, round_half_away, solve_single_rounding
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
from reconciler.compiler.tflite.graph_reader import Node, Tensor
from reconciler.compiler.tflite.memory_plan import NetworkPlan, Value

Ints = npt.NDArray[np.int64]
Geometry = tuple[int, int, int, int, int, int, int, int]
_LARGEST_ACC = (1 << 31) - 1


def activation_range(kind: int, value: Value, node: Node) -> tuple[int, int]:
    """Return the clamp that a fused activation means for an output."""
    activation = schema.ActivationFunctionType

    def quantized(real: float) -> int:
        step = float(np.float32(real) / np.float32(value.scale))
        return value.zero_point + round_half_away(step)

    ranges = {
        activation.NONE: (-128, 127),
        activation.RELU: (max(-128, quantized(0.0)), 127),
        activation.RELU6: (max(-128, quantized(0.0)), min(127, quantized(6.0))),
        activation.RELU_N1_TO_1: (max(-128, quantized(-1.0)), min(127, quantized(1.0))),
    }
    if kind not in ranges:
        raise OperatorUnsupported(f"{node.place}: fused activation {kind} is not supported; use RELU or RELU6")
    low, high = ranges[kind]
    return min(low, 127), max(high, -128)


def _padding(kind: int, size_in: int, size_out: int, extent: int, stride: int) -> int:
    if kind == schema.Padding.VALID:
        return 0
    return int(max(0, (size_out - 1) * stride + extent - size_in) // 2)


def _int8_weights(planning: NetworkPlan, node: Node) -> tuple[Tensor, Ints]:
    tensor = planning.constant(node, 1)
    if tensor.type != "INT8":
        raise OperatorUnsupported(f"{node.place}: weights are {tensor.type}; quantize the whole model to full int8")
    if any(tensor.zero_points):
        raise OperatorUnsupported(f"{node.place}: weights have a zero point; packs hold symmetric weights")
    return tensor, np.frombuffer(tensor.data or b"", "<i1").astype(np.int64).reshape(tensor.shape)


def _bias(planning: NetworkPlan, node: Node, channels: int) -> Ints:
    tensor = planning.optional(node, 2)
    if tensor is None:
        return np.zeros(channels, np.int64)
    if tensor.type != "INT32" or tensor.elements != channels:
        raise OperatorUnsupported(
            f"{node.place}: the bias is {tensor.type} of {tensor.elements}, not INT32 of {channels}"
        )
    return np.array(planning.constant(node, 2).ints(), np.int64)


def _scales(tensor: Tensor, channels: int, node: Node) -> list[float]:
    if len(tensor.scales) not in {1, channels} or not all(s > 0 and math.isfinite(s) for s in tensor.scales):
        raise OperatorUnsupported(f"{node.place}: weights have {len(tensor.scales)} scales for {channels} channels")
    return list(tensor.scales) if len(tensor.scales) == channels else list(tensor.scales) * channels


def _check_accumulator(magnitudes: Ints, bias: Ints, node: Node) -> int:
    """Return the largest magnitude that an accumulator can have; it must not overflow."""
    largest = int((magnitudes * 128 + np.abs(bias)).max())
    if largest > _LARGEST_ACC:
        raise DoesNotFit(f"{node.place}: an accumulator can reach {largest}, more than 32 bits hold")
    return largest


def lower_conv(planning: NetworkPlan, node: Node) -> None:
    """CONV_2D."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    tensor, weights = _int8_weights(planning, node)
    channels, kernel_h, kernel_w, depth = weights.shape
    if x.dims[3] % depth or channels % (x.dims[3] // depth) or channels != y.dims[3]:
        raise OperatorUnsupported(f"{node.place}: {x.dims[3]} channels don't match filters of depth {depth}")
    offsets = _convolution_arrays(planning, node, tensor, weights.reshape(channels, -1), (x, y))
    geometry = _geometry(node, x, y, (kernel_h, kernel_w))
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    planning.emit(Conv2D(source, target, low, high, *offsets, *geometry, x.dims[3] // depth))


def lower_depthwise(planning: NetworkPlan, node: Node) -> None:
    """DEPTHWISE_CONV_2D."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    tensor, weights = _int8_weights(planning, node)
    _, kernel_h, kernel_w, channels = weights.shape
    if channels % x.dims[3] or channels != y.dims[3]:
        raise OperatorUnsupported(f"{node.place}: {channels} filters don't match {x.dims[3]} channels")
    offsets = _convolution_arrays(planning, node, tensor, weights.reshape(-1, channels).T, (x, y))
    geometry = _geometry(node, x, y, (kernel_h, kernel_w))
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    planning.emit(DepthwiseConv2D(source, target, low, high, *offsets, *geometry, channels // x.dims[3]))


def _convolution_arrays(
    planning: NetworkPlan, node: Node, tensor: Tensor, by_channel: Ints, ends: tuple[Value, Value]
) -> tuple[int, int, int, int]:
    """Fold the bias, work out the multipliers, and return the offsets of all four arrays."""
    x, y = ends
    channels = len(by_channel)
    bias = _bias(planning, node, channels) - x.zero_point * by_channel.sum(axis=1)
    _check_accumulator(np.abs(by_channel).sum(axis=1), bias, node)
    scaled = [quantize_multiplier(float(x.scale) * scale / float(y.scale)) for scale in _scales(tensor, channels, node)]
    return (
        planning.blob(tensor.data or b""),
        planning.array(bias, "<i4"),
        planning.array(np.array([m for m, _ in scaled], np.int64), "<i4"),
        planning.array(np.array([s for _, s in scaled], np.int64), "i1"),
    )


def _geometry(node: Node, x: Value, y: Value, kernel: tuple[int, int]) -> Geometry:
    strides = node.option("strideH"), node.option("strideW")
    dilations = node.option("dilationHFactor"), node.option("dilationWFactor")
    pads = []
    for axis in (0, 1):
        size_in, size_out = x.dims[1 + axis], y.dims[1 + axis]
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        pad = _padding(node.option("padding"), size_in, size_out, extent, strides[axis])
        _check_window(node, size_in, size_out, (kernel[axis], strides[axis], dilations[axis], pad))
        pads.append(pad)
    return (*kernel, *strides, *dilations, pads[0], pads[1])


def _check_window(node: Node, size_in: int, size_out: int, window: tuple[int, int, int, int]) -> None:
    kernel, stride, dilation, pad = window
    extent = (kernel - 1) * dilation + 1
    if min(kernel, stride, dilation) < 1 or pad >= extent or (size_out - 1) * stride - pad >= size_in:
        raise OperatorUnsupported(
            f"{node.place}: kernel {kernel}, stride {stride} and dilation {dilation} can't make {size_out} of {size_in}"
        )


def lower_fully_connected(planning: NetworkPlan, node: Node) -> None:
    """FULLY_CONNECTED."""
    if node.option("weightsFormat") != 0:
        raise OperatorUnsupported(f"{node.place}: shuffled weights; convert for int8 without shuffling")
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    tensor, weights = _int8_weights(planning, node)
    channels, depth = weights.shape
    if x.elements % depth or y.elements != x.elements // depth * channels:
        raise OperatorUnsupported(f"{node.place}: weights {channels} by {depth} don't match {x.elements} inputs")
    bias = _bias(planning, node, channels) - x.zero_point * weights.sum(axis=1)
    largest = _check_accumulator(np.abs(weights).sum(axis=1), bias, node)
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    reach = max(abs(high - y.zero_point), abs(low - y.zero_point), 1)
    scales = tensor.scales if len(tensor.scales) == channels else tensor.scales[:1]
    solved = []
    for scale in _scales(tensor, channels, node)[: len(scales)]:
        real = float(x.scale) * float(scale) / float(y.scale)
        solution = solve_single_rounding(real, reach, largest)
        if solution is None:
            raise OperatorUnsupported(f"{node.place}: FullyConnectedInexact: no 31-bit multiplier equals {real!r}")
        solved.append(solution)
    batches = x.elements // depth
    source = planning.view(source, (1, 1, batches, depth))
    target = planning.view(target, (1, 1, batches, channels))
    offsets = (
        planning.blob(tensor.data or b""),
        planning.array(bias, "<i4"),
        planning.array(np.array([m for m, _ in solved], np.int64), "<i4"),
        planning.array(np.array([s for _, s in solved], np.int64), "i1"),
    )
    planning.emit(FullyConnected(source, target, low, high, *offsets, int(len(scales) > 1)))


def lower_average_pool(planning: NetworkPlan, node: Node) -> None:
    """AVERAGE_POOL_2D."""
    planning.emit(AveragePool(*_pool(planning, node)))


def lower_max_pool(planning: NetworkPlan, node: Node) -> None:
    """MAX_POOL_2D."""
    planning.emit(MaxPool(*_pool(planning, node)))


def _pool(planning: NetworkPlan, node: Node) -> tuple[int, ...]:
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise OperatorUnsupported(f"{node.place}: pooling changes the scale; convert the model again")
    kernel = node.option("filterHeight"), node.option("filterWidth")
    strides = node.option("strideH"), node.option("strideW")
    pads = []
    for axis in (0, 1):
        size_in, size_out = x.dims[1 + axis], y.dims[1 + axis]
        pad = _padding(node.option("padding"), size_in, size_out, kernel[axis], strides[axis])
        _check_window(node, size_in, size_out, (kernel[axis], strides[axis], 1, pad))
        pads.append(pad)
    low, high = activation_range(node.option("fusedActivationFunction"), y, node)
    return (source, target, low, high, *kernel, *strides, *pads)


def lower_reduce_max(planning: NetworkPlan, node: Node) -> None:
    """REDUCE_MAX over height, width or both: a maximum pool over all of it."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    axes = _reduced_axes(planning, node)
    if not axes <= {1, 2} or (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise OperatorUnsupported(f"{node.place}: only height and width can be reduced, in one scale")
    height, width = (x.dims[axis] if axis in axes else 1 for axis in (1, 2))
    target = planning.view(target, (x.dims[0], x.dims[1] // height, x.dims[2] // width, x.dims[3]))
    planning.emit(MaxPool(source, target, -128, 127, height, width, 1, 1, 0, 0))


def _reduced_axes(planning: NetworkPlan, node: Node) -> set[int]:
    rank = len(planning.tensor(node, 0).shape)
    return {axis % rank + 4 - rank for axis in planning.constant(node, 1).ints()}


def lower_mean(planning: NetworkPlan, node: Node) -> None:
    """MEAN over any axes."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    axes = _reduced_axes(planning, node)
    count = math.prod(x.dims[axis] for axis in axes)
    multiplier, shift = _mean_multiplier(x.scale, y.scale, count)
    reduced = [1 if axis in axes else size for axis, size in enumerate(x.dims)]
    target = planning.view(target, (reduced[0], reduced[1], reduced[2], reduced[3]))
    planning.emit(Mean(source, target, -128, 127, multiplier, shift, sum(1 << axis for axis in axes)))


def _mean_multiplier(scale_in: float, scale_out: float, count: int) -> tuple[int, int]:
    """Fold the division by the count into the multiplier, as the oracle does."""
    multiplier, exponent = quantize_multiplier(float(scale_in) / float(scale_out))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


def lower_pad(planning: NetworkPlan, node: Node) -> None:
    """PAD with the zero point, PADV2 with a constant."""
    source, target = planning.input(node), planning.output(node)
    y = planning.values[target]
    pairs = planning.constant(node, 1).ints()
    before = [0] * (4 - len(pairs) // 2) + pairs[::2]
    if min(pairs) < 0:
        raise OperatorUnsupported(f"{node.place}: negative paddings crop; slice before the model instead")
    fill = y.zero_point
    if node.name == "PADV2":
        fill = planning.constant(node, 2).ints()[0]
    planning.emit(Pad(source, target, fill, fill, *before))


def lower_concatenation(planning: NetworkPlan, node: Node) -> None:
    """CONCATENATION: a strided copy for each input."""
    target = planning.output(node)
    y = planning.values[target]
    rank = len(planning.graph.tensors[node.outputs[0]].shape)
    axis = node.option("axis") % rank + 4 - rank
    if node.option("fusedActivationFunction") != 0:
        raise OperatorUnsupported(f"{node.place}: a fused activation on a concatenation is not supported")
    start = 0
    for position in range(len(node.inputs)):
        source = planning.input(node, position)
        x = planning.values[source]
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise OperatorUnsupported(f"{node.place}: inputs have other scales than the output; convert again")
        block = math.prod(x.dims[axis:])
        planning.emit(Concatenation(source, target, -128, 127, block, math.prod(y.dims[axis:]), start))
        start += block
