# SPDX-License-Identifier: Apache-2.0
"""The rules for each operator, so that running it needs no checks (docs/specs/pack.md section 9, rules 6 to 16)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack import operators as ops
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.pack.wide_forms import SHIFTS, dense_weight_bytes, scratch_bytes, weight_bytes


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse the pack unless the condition holds."""
    if not condition:
        raise PackMalformed(message)


@dataclass(frozen=True, slots=True)
class CheckedNetwork:
    """The tensors, weights and arena that the operators of a pack use."""

    tensors: list[TensorRecord]
    weights: bytes
    arena_bytes: int

    def array(self, offset: int, count: int, code: str) -> list[int]:
        """Read an array, which must be inside WEIGHTS."""
        size = count * np.dtype(code).itemsize
        require(offset % 4 == 0 and offset + size <= len(self.weights), "an array is outside of WEIGHTS")
        return [int(v) for v in np.frombuffer(self.weights[offset : offset + size], code)]


def _are_apart(one: TensorRecord, other: TensorRecord) -> bool:
    return one.offset + one.elements <= other.offset or other.offset + other.elements <= one.offset


def check_operator(network: CheckedNetwork, op: ops.Operator) -> None:
    """Check one record of the plan against the rules for all operators, and for its own."""
    count = len(network.tensors)
    require(op.output < count and all(i < count for i in op.inputs()), f"{op.NAME}: unknown tensor")
    target = network.tensors[op.output]
    require(not target.constant and op.low <= op.high, f"{op.NAME}: writes a constant or has an empty clamp")
    for index in op.inputs():
        source = network.tensors[index]
        same = source.offset == target.offset and (
            isinstance(op, ops.Slice) or (isinstance(op, ops.IN_PLACE) and source.elements == target.elements)
        )
        allowed = source.constant or same or _are_apart(source, target)
        require(allowed, f"{op.NAME}: the output overlaps an input")
    _CHECKS[type(op)](network, op, network.tensors[op.input], target)


def check_multiplier(multiplier: int, shift: int) -> None:
    """Check that MBQM accepts a multiplier and its shift."""
    require(multiplier >= 0 and -31 <= shift <= 30, "a multiplier or a shift is out of range")  # noqa: PLR2004


def _check_axis(op: ops.Operator, size_in: int, size_out: int, window: tuple[int, int, int, int]) -> None:
    kernel, stride, dilation, pad = window
    fits = min(kernel, stride, dilation) >= 1 and pad < (kernel - 1) * dilation + 1
    require(fits and (size_out - 1) * stride - pad < size_in, f"{op.NAME}: a window is outside of the input")


def _check_convolution(network: CheckedNetwork, op: ops.Convolution, x: TensorRecord, y: TensorRecord) -> None:
    require(x.dims[0] == y.dims[0], f"{op.NAME}: the batches differ")
    _check_axis(op, x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, op.dilation_h, op.pad_top))
    _check_axis(op, x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, op.dilation_w, op.pad_left))
    channels = y.dims[3]
    least_shift, most_shift = SHIFTS if isinstance(op, ops.WIDE) else (-31, 30)
    require(op.groups >= 1, f"{op.NAME}: has no groups")
    if isinstance(op, ops.Conv2D):
        require(
            x.dims[3] % op.groups == 0 and channels % op.groups == 0, "CONV_2D: the groups do not divide the channels"
        )
        taps = channels * op.kernel_h * op.kernel_w * (x.dims[3] // op.groups)
        if isinstance(op, ops.WideConv2D):
            taps = weight_bytes(op, x.dims[3], channels)
    else:
        require(channels == x.dims[3] * op.groups, "DEPTHWISE_CONV_2D: the channels do not match")
        taps = channels * op.kernel_h * op.kernel_w
    if isinstance(op, ops.WideDepthwiseConv2D):
        require(op.band >= 1 and op.dilation_w == 1, f"{op.NAME}: the wide form has no band, or its rows are dilated")
    if isinstance(op, ops.WIDE):
        _check_scratch(network, op, x, y)
    network.array(op.weights, taps, "i1")
    network.array(op.bias, channels, "<i4")
    multipliers = network.array(op.multipliers, channels, "<i4")
    for multiplier, shift in zip(multipliers, network.array(op.shifts, channels, "i1"), strict=True):
        check_multiplier(multiplier, shift)
        require(least_shift <= shift <= most_shift, f"{op.NAME}: a shift does not suit the wide form")


def _check_scratch(
    network: CheckedNetwork, op: ops.WideConv2D | ops.WideDepthwiseConv2D, x: TensorRecord, y: TensorRecord
) -> None:
    start, end = op.scratch, op.scratch + scratch_bytes(op, x.dims[3], y.dims)
    require(start % 4 == 0 and end <= network.arena_bytes, f"{op.NAME}: the scratch is outside of the arena")
    for tensor in (x, y):
        apart = tensor.constant or end <= tensor.offset or tensor.offset + tensor.elements <= start
        require(apart, f"{op.NAME}: the scratch overlaps the input or the output")


def _check_fully_connected(network: CheckedNetwork, op: ops.FullyConnected, x: TensorRecord, y: TensorRecord) -> None:
    require(op.flags <= ops.DENSE_PER_CHANNEL | ops.DENSE_WIDE, "FULLY_CONNECTED: unknown flag")
    require(not op.wide or x.dims[3] % 4 == 0, "FULLY_CONNECTED: the wide form needs whole quads of inputs")
    require(
        x.dims[:3] == y.dims[:3] and x.dims[:2] == (1, 1), "FULLY_CONNECTED: dims must be [1, 1, b, n], [1, 1, b, m]"
    )
    channels = y.dims[3]
    network.array(op.weights, dense_weight_bytes(op, x.dims[3], channels), "i1")
    network.array(op.bias, channels, "<i4")
    count = channels if op.per_channel else 1
    require(min(network.array(op.multipliers, count, "<i4")) >= 0, "FULLY_CONNECTED: negative multiplier")
    shifts = network.array(op.shifts, count, "i1")
    require(min(shifts) >= 1 and max(shifts) <= 62, "FULLY_CONNECTED: shift out of range")  # noqa: PLR2004


def _check_pool(_network: CheckedNetwork, op: ops.Pool, x: TensorRecord, y: TensorRecord) -> None:
    require((x.dims[0], x.dims[3]) == (y.dims[0], y.dims[3]), f"{op.NAME}: the batches or channels differ")
    _check_axis(op, x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, 1, op.pad_top))
    _check_axis(op, x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, 1, op.pad_left))


def _check_mean(_network: CheckedNetwork, op: ops.Mean, x: TensorRecord, y: TensorRecord) -> None:
    expected = tuple(1 if op.axes >> axis & 1 else size for axis, size in enumerate(x.dims))
    require(1 <= op.axes <= 15 and y.dims == expected, "MEAN: the dimensions or axes do not match")  # noqa: PLR2004
    require(x.elements // y.elements < 1 << 20, "MEAN: too many elements")
    check_multiplier(op.multiplier, op.shift)


def _check_broadcast(network: CheckedNetwork, op: ops.Add | ops.Mul, y: TensorRecord) -> None:
    for index in op.inputs():
        dims = network.tensors[index].dims
        require(
            all(d in {1, out} for d, out in zip(dims, y.dims, strict=True)),
            f"{op.NAME}: the dimensions do not broadcast",
        )


def _check_add(network: CheckedNetwork, op: ops.Add, _x: TensorRecord, y: TensorRecord) -> None:
    _check_broadcast(network, op, y)
    require(max(op.shift_1, op.shift_2, op.shift_out) <= 0, "ADD: a shift is positive")
    for multiplier, shift in (
        (op.multiplier_1, op.shift_1),
        (op.multiplier_2, op.shift_2),
        (op.multiplier_out, op.shift_out),
    ):
        check_multiplier(multiplier, shift)


def _check_mul(network: CheckedNetwork, op: ops.Mul, _x: TensorRecord, y: TensorRecord) -> None:
    _check_broadcast(network, op, y)
    check_multiplier(op.multiplier, op.shift)


def _check_quantize(_network: CheckedNetwork, op: ops.Quantize, x: TensorRecord, y: TensorRecord) -> None:
    require(x.elements == y.elements, "QUANTIZE: the sizes differ")
    check_multiplier(op.multiplier, op.shift)


def _check_lookup(network: CheckedNetwork, op: ops.Lookup, x: TensorRecord, y: TensorRecord) -> None:
    require(
        x.elements == y.elements and (op.low, op.high) == (-128, 127), "LOOKUP: the sizes differ, or it has a clamp"
    )
    network.array(op.table, 256, "i1")


def _check_softmax(_network: CheckedNetwork, op: ops.Softmax, x: TensorRecord, y: TensorRecord) -> None:
    require(x.dims == y.dims and x.dims[3] <= 4096, "SOFTMAX: the dimensions differ, or the row is too long")  # noqa: PLR2004
    require((y.zero_point, op.low, op.high) == (-128, -128, 127), "SOFTMAX: the zero point or the clamp is wrong")
    require(op.multiplier >= 0 and 0 <= op.shift <= 31 and -255 <= op.diff_min <= 0, "SOFTMAX: a field is out of range")  # noqa: PLR2004


def _check_pad(_network: CheckedNetwork, op: ops.Pad, x: TensorRecord, y: TensorRecord) -> None:
    before = (op.before_n, op.before_h, op.before_w, op.before_c)
    inside = all(b + size <= out for b, size, out in zip(before, x.dims, y.dims, strict=True))
    require(inside and op.low == op.high, "PAD: the input does not fit, or there is more than one fill value")


def _check_concatenation(_network: CheckedNetwork, op: ops.Concatenation, x: TensorRecord, y: TensorRecord) -> None:
    _check_blocks(op, adjacent=x, strided=y)


def _check_slice(_network: CheckedNetwork, op: ops.Slice, x: TensorRecord, y: TensorRecord) -> None:
    _check_blocks(op, adjacent=y, strided=x)


def _check_blocks(op: ops.StridedCopy, *, adjacent: TensorRecord, strided: TensorRecord) -> None:
    require(op.block >= 1 and adjacent.elements % op.block == 0, f"{op.NAME}: the blocks do not divide the tensor")
    blocks = adjacent.elements // op.block
    require(blocks == 1 or op.start + op.block <= op.stride, f"{op.NAME}: the blocks overlap")
    end = op.start + (blocks - 1) * op.stride + op.block
    require(end <= strided.elements, f"{op.NAME}: the blocks end after the tensor")


def _check_kept(network: CheckedNetwork, op: ops.Operator, index: int, size: int) -> None:
    """Check a tensor that an operator keeps."""
    tensor = network.tensors[index]
    require(not tensor.constant and tensor.elements == size, f"{op.NAME}: its state is a constant or has another size")


def _check_arrays(network: CheckedNetwork, op: ops.Svdf | ops.SequenceLstm, x: TensorRecord, y: TensorRecord) -> None:
    for field, size in op.array_bytes(x.dims[3], y.dims[3]).items():
        network.array(getattr(op, field), size, "i1")


def _check_svdf(network: CheckedNetwork, op: ops.Svdf, x: TensorRecord, y: TensorRecord) -> None:
    require(x.dims[:3] == y.dims[:3] == (1, 1, 1), "SVDF: dims must be [1, 1, 1, n], [1, 1, 1, m]")
    require(min(op.rank, op.memory_size) >= 1, "SVDF: has no filters or no memory")
    _check_kept(network, op, op.memory, 2 * y.dims[3] * op.rank * op.memory_size)
    _check_arrays(network, op, x, y)
    check_multiplier(op.multiplier, op.shift)
    check_multiplier(op.multiplier_out, op.shift_out)


def _check_lstm(network: CheckedNetwork, op: ops.SequenceLstm, x: TensorRecord, y: TensorRecord) -> None:
    require(x.dims[:3] == y.dims[:3] and x.dims[:2] == (1, 1), f"{op.NAME}: dims must be [1, 1, T, n], [1, 1, T, m]")
    require(op.clip <= 32767 and op.cell_bits <= 6, f"{op.NAME}: a field is out of range")  # noqa: PLR2004 - the specification's
    units = y.dims[3]
    _check_kept(network, op, op.hidden, units)
    _check_kept(network, op, op.cell, 2 * units)
    _check_arrays(network, op, x, y)
    multipliers = network.array(op.multipliers, ops.LSTM_SCALES, "<i4")
    for multiplier, shift in zip(multipliers, network.array(op.shifts, ops.LSTM_SCALES, "i1"), strict=True):
        check_multiplier(multiplier, shift)


_CHECKS: dict[type[ops.Operator], Callable[[CheckedNetwork, Any, TensorRecord, TensorRecord], None]] = {
    ops.Conv2D: _check_convolution,
    ops.WideConv2D: _check_convolution,
    ops.DepthwiseConv2D: _check_convolution,
    ops.WideDepthwiseConv2D: _check_convolution,
    ops.FullyConnected: _check_fully_connected,
    ops.AveragePool: _check_pool,
    ops.MaxPool: _check_pool,
    ops.Mean: _check_mean,
    ops.Add: _check_add,
    ops.Mul: _check_mul,
    ops.Quantize: _check_quantize,
    ops.Lookup: _check_lookup,
    ops.Softmax: _check_softmax,
    ops.Pad: _check_pad,
    ops.Concatenation: _check_concatenation,
    ops.Slice: _check_slice,
    ops.Svdf: _check_svdf,
    ops.SequenceLstm: _check_lstm,
}
