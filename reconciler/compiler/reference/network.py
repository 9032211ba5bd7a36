# SPDX-License-Identifier: Apache-2.0
"""The operators of neural networks, as docs/specs/pack.md section 6 defines them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit
from reconciler.compiler.pack import operators as ops
from reconciler.compiler.pack.fixed_point import (
    Ints,
    multiply_by_quantized_multiplier,
    multiply_single_rounding,
    rdp,
    shl,
    srdhm,
    wrap32,
)
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.pack.state_section import StateRecord
from reconciler.compiler.pack.wide_forms import dense_weight_bytes, separate_pairs, separate_quads, weight_bytes
from reconciler.compiler.reference.recurrent import run_lstm, run_svdf


class ReferenceNetwork:
    """Runs the plan of a network over an arena, weights and tensors."""

    def __init__(self, tensors: Sequence[TensorRecord], weights: bytes, arena_bytes: int) -> None:
        self.tensors = list(tensors)
        self.weights = np.frombuffer(weights, np.int8)
        self.arena = np.zeros(arena_bytes, np.int8)

    def get(self, index: int) -> Ints:
        """Read a tensor."""
        record = self.tensors[index]
        memory = self.weights if record.constant else self.arena
        flat = memory[record.offset : record.offset + record.elements]
        return flat.astype(np.int64).reshape(record.dims)

    def put(self, operator: ops.Operator, values: Ints) -> None:
        """Add the zero point, clamp and write an operator's output."""
        record = self.tensors[operator.output]
        clamped = np.clip(values + record.zero_point, operator.low, operator.high)
        self.store(operator.output, clamped)

    def store(self, index: int, values: Ints) -> None:
        """Write a tensor unchanged."""
        record = self.tensors[index]
        self.arena[record.offset : record.offset + record.elements] = values.astype(np.int8).reshape(-1)

    def initial_values(self, state: StateRecord) -> Ints:
        """Return the values that a state starts from."""
        return np.full(self.tensors[state.tensor].dims, state.fill, np.int64)

    def array(self, offset: int, count: int, code: str) -> Ints:
        """Read an array from the weights."""
        size = count * np.dtype(code).itemsize
        return np.frombuffer(self.weights[offset : offset + size].tobytes(), code).astype(np.int64)

    def run(self, operators: Sequence[ops.Operator]) -> None:
        """Run the plan."""
        for operator in operators:
            _RUN[type(operator)](self, operator)


TAPS_MAX = 1 << 26  # 512 MiB of them; a kernel may be 65,535 wide and consist almost entirely of padding


def _windows(
    network: ReferenceNetwork, op: ops.Convolution | ops.Pool, fill: int
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Gather the taps of every output: values [N, Y, X, kh, kw, C], and which are inside [Y, X, kh, kw]."""
    x = network.get(op.input)
    _, out_h, out_w, _ = network.tensors[op.output].dims
    dilation_h, dilation_w = (op.dilation_h, op.dilation_w) if isinstance(op, ops.Convolution) else (1, 1)
    rows = np.arange(out_h)[:, None] * op.stride_h - op.pad_top + np.arange(op.kernel_h) * dilation_h
    columns = np.arange(out_w)[:, None] * op.stride_w - op.pad_left + np.arange(op.kernel_w) * dilation_w
    tap_count = x.shape[0] * rows.size * columns.size * x.shape[3]
    if tap_count > TAPS_MAX:
        raise DoesNotFit(f"an operator reads {tap_count} values; the reference interpreter gathers at most {TAPS_MAX}")
    row_inside = (rows >= 0) & (rows < x.shape[1])
    column_inside = (columns >= 0) & (columns < x.shape[2])
    inside = row_inside[:, None, :, None] & column_inside[None, :, None, :]
    safe_rows, safe_columns = rows.clip(0, x.shape[1] - 1), columns.clip(0, x.shape[2] - 1)
    taps = x[:, safe_rows[:, None, :, None], safe_columns[None, :, None, :], :]
    return np.where(inside[None, ..., None], taps, fill), inside


def _scaled_channels(network: ReferenceNetwork, op: ops.Convolution, acc: Ints) -> Ints:
    channels = acc.shape[-1]
    biased = wrap32(acc + network.array(op.bias, channels, "<i4"))
    return multiply_by_quantized_multiplier(
        biased, network.array(op.multipliers, channels, "<i4"), network.array(op.shifts, channels, "i1")
    )


def _conv(network: ReferenceNetwork, op: ops.Conv2D) -> None:
    taps, _ = _windows(network, op, network.tensors[op.input].zero_point)
    channels = network.tensors[op.output].dims[3]
    depth = taps.shape[-1] // op.groups
    shape = (op.groups, channels // op.groups, op.kernel_h, op.kernel_w, depth)
    if isinstance(op, ops.WideConv2D):
        size = weight_bytes(op, taps.shape[-1], channels)
        weights = separate_pairs(network.array(op.weights, size, "i1"), shape)
    else:
        weights = network.array(op.weights, math.prod(shape), "i1").reshape(shape)
    grouped = taps.reshape(*taps.shape[:-1], op.groups, depth)
    acc = np.einsum("nyxijgk,goijk->nyxgo", grouped, weights)
    network.put(op, _scaled_channels(network, op, acc.reshape(*acc.shape[:3], channels)))


def _depthwise(network: ReferenceNetwork, op: ops.DepthwiseConv2D) -> None:
    taps, _ = _windows(network, op, network.tensors[op.input].zero_point)
    channels = network.tensors[op.output].dims[3]
    weights = network.array(op.weights, op.kernel_h * op.kernel_w * channels, "i1")
    weights = weights.reshape(op.kernel_h, op.kernel_w, channels)
    acc = np.einsum("nyxijc,ijc->nyxc", np.repeat(taps, op.groups, axis=-1), weights)
    network.put(op, _scaled_channels(network, op, acc))


def _fully_connected(network: ReferenceNetwork, op: ops.FullyConnected) -> None:
    x = network.get(op.input)[0, 0]
    channels = network.tensors[op.output].dims[3]
    weights = network.array(op.weights, dense_weight_bytes(op, x.shape[1], channels), "i1")
    weights = separate_quads(weights, channels, x.shape[1]) if op.wide else weights.reshape(channels, -1)
    acc = wrap32(x @ weights.T + network.array(op.bias, channels, "<i4"))
    count = channels if op.per_channel else 1
    network.put(
        op,
        multiply_single_rounding(
            acc, network.array(op.multipliers, count, "<i4"), network.array(op.shifts, count, "i1")
        ),
    )


def _average_pool(network: ReferenceNetwork, op: ops.AveragePool) -> None:
    taps, inside = _windows(network, op, 0)
    total = taps.sum(axis=(3, 4))
    count = inside.sum(axis=(2, 3))[None, ..., None]
    magnitude = (np.abs(total) + count // 2) // count
    network.store(op.output, np.clip(np.where(total > 0, magnitude, -magnitude), op.low, op.high))


def _max_pool(network: ReferenceNetwork, op: ops.MaxPool) -> None:
    taps, _ = _windows(network, op, -128)
    network.store(op.output, np.clip(taps.max(axis=(3, 4)), op.low, op.high))


def _mean(network: ReferenceNetwork, op: ops.Mean) -> None:
    x = network.get(op.input) - network.tensors[op.input].zero_point
    axes = tuple(axis for axis in range(4) if op.axes >> axis & 1)
    network.put(op, multiply_by_quantized_multiplier(x.sum(axis=axes, keepdims=True), op.multiplier, op.shift))


def _pair(network: ReferenceNetwork, op: ops.Add | ops.Mul) -> tuple[Ints, Ints]:
    """Read both inputs without their zero points, broadcast to the shape of the output."""
    dims = network.tensors[op.output].dims
    first = network.get(op.input) - network.tensors[op.input].zero_point
    second = network.get(op.second) - network.tensors[op.second].zero_point
    return np.broadcast_to(first, dims), np.broadcast_to(second, dims)


def _add(network: ReferenceNetwork, op: ops.Add) -> None:
    first, second = _pair(network, op)
    total = multiply_by_quantized_multiplier(
        first << 20, op.multiplier_1, op.shift_1
    ) + multiply_by_quantized_multiplier(second << 20, op.multiplier_2, op.shift_2)
    network.put(op, multiply_by_quantized_multiplier(total, op.multiplier_out, op.shift_out))


def _mul(network: ReferenceNetwork, op: ops.Mul) -> None:
    first, second = _pair(network, op)
    network.put(op, multiply_by_quantized_multiplier(first * second, op.multiplier, op.shift))


def _quantize(network: ReferenceNetwork, op: ops.Quantize) -> None:
    network.put(
        op,
        multiply_by_quantized_multiplier(
            network.get(op.input) - network.tensors[op.input].zero_point, op.multiplier, op.shift
        ),
    )


def _lookup(network: ReferenceNetwork, op: ops.Lookup) -> None:
    network.store(op.output, network.array(op.table, 256, "i1")[network.get(op.input) + 128])


_EXP_STEPS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp_on_negative(a: Ints) -> Ints:
    """Return e to the power of a, for a <= 0 in Q5; the result is in Q0."""
    quarter = (a & ((1 << 24) - 1)) - (1 << 24)
    rest = quarter - a
    x = shl(quarter, 5) + (1 << 28)
    x2 = srdhm(x, x)
    x3, x4 = srdhm(x2, x), srdhm(x2, x2)
    tail = rdp(srdhm(rdp(x4, 2) + x3, 715827883) + x2, 1)
    constant = np.full_like(a, 1895147668)
    result = constant + srdhm(constant, x + tail)
    for i, step in enumerate(_EXP_STEPS):
        result = np.where(rest >> (24 + i) & 1, srdhm(result, step), result)
    return np.where(a == 0, (1 << 31) - 1, result)


def _reciprocal(total: int) -> tuple[Ints, int]:
    """Return the reciprocal of a sum in Q12, as a fraction in Q0 and a shift."""
    headroom = 32 - total.bit_length()
    a = ((total << headroom) & 0xFFFFFFFF) - (1 << 31)
    half = np.array([(a + (1 << 31)) >> 1], np.int64)
    x = 1515870810 + srdhm(half, -1010580540)
    for _ in range(3):
        x = x + shl(srdhm(x, (1 << 29) - srdhm(half, x)), 2)
    return shl(x, 1), 12 - headroom


def _softmax(network: ReferenceNetwork, op: ops.Softmax) -> None:
    x = network.get(op.input)
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        diff = row - row.max()
        counts = diff >= op.diff_min
        scaled = srdhm(np.where(counts, diff, 0) << op.shift, op.multiplier)
        e = _exp_on_negative(scaled)
        scale, over = _reciprocal(int(rdp(e[counts], 12).sum()))
        out = rdp(srdhm(e, scale), over + 31 - 8) - 128
        rows.append(np.where(counts, np.clip(out, -128, 127), -128))
    network.store(op.output, np.array(rows, np.int64))


def _pad(network: ReferenceNetwork, op: ops.Pad) -> None:
    x = network.get(op.input)
    out = np.full(network.tensors[op.output].dims, op.low, np.int64)
    before = (op.before_n, op.before_h, op.before_w, op.before_c)
    out[tuple(slice(b, b + size) for b, size in zip(before, x.shape, strict=True))] = x
    network.store(op.output, out)


def _concatenation(network: ReferenceNetwork, op: ops.Concatenation) -> None:
    out = network.get(op.output).reshape(-1)
    for i, block in enumerate(network.get(op.input).reshape(-1, op.block)):
        out[op.start + i * op.stride : op.start + i * op.stride + op.block] = block
    network.store(op.output, out)


def _slice(network: ReferenceNetwork, op: ops.Slice) -> None:
    source = network.get(op.input).reshape(-1)
    starts = op.start + op.stride * np.arange(network.tensors[op.output].elements // op.block)
    network.store(op.output, source[(starts[:, None] + np.arange(op.block)).reshape(-1)])


_RUN: dict[type[ops.Operator], Callable[[ReferenceNetwork, Any], None]] = {
    ops.Conv2D: _conv,
    ops.WideConv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
    ops.WideDepthwiseConv2D: _depthwise,
    ops.FullyConnected: _fully_connected,
    ops.AveragePool: _average_pool,
    ops.MaxPool: _max_pool,
    ops.Mean: _mean,
    ops.Add: _add,
    ops.Mul: _mul,
    ops.Quantize: _quantize,
    ops.Lookup: _lookup,
    ops.Softmax: _softmax,
    ops.Pad: _pad,
    ops.Concatenation: _concatenation,
    ops.Slice: _slice,
    ops.Svdf: run_svdf,
    ops.SequenceLstm: run_lstm,
}
