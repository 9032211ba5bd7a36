# SPDX-License-Identifier: Apache-2.0
"""Neural networks, operator by operator, as docs/specs/pack.md section 6 defines them."""

from __future__ import annotations

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


class ReferenceNetwork:
    """An arena, the weights, and the tensors that lie in them."""

    def __init__(self, tensors: Sequence[TensorRecord], weights: bytes, arena_bytes: int) -> None:
        self.tensors = tensors
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
        """Write a tensor as it is."""
        record = self.tensors[index]
        self.arena[record.offset : record.offset + record.elements] = values.astype(np.int8).reshape(-1)

    def array(self, offset: int, count: int, code: str) -> Ints:
        """Read an array of the weights."""
        size = count * np.dtype(code).itemsize
        return np.frombuffer(self.weights[offset : offset + size].tobytes(), code).astype(np.int64)

    def run(self, operators: Sequence[ops.Operator]) -> None:
        """Run the plan."""
        for operator in operators:
            _RUN[type(operator)](self, operator)


TAPS_MAX = 1 << 26  # half a gibibyte of them; a kernel may be 65,535 wide and stand in padding almost alone


def _windows(
    machine: ReferenceNetwork, op: ops.Convolution | ops.Pool, fill: int
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Gather every output's taps: values [N, Y, X, kh, kw, C] and which lie inside [Y, X, kh, kw]."""
    x = machine.get(op.input)
    _, out_h, out_w, _ = machine.tensors[op.output].dims
    dilation_h, dilation_w = (op.dilation_h, op.dilation_w) if isinstance(op, ops.Convolution) else (1, 1)
    rows = np.arange(out_h)[:, None] * op.stride_h - op.pad_top + np.arange(op.kernel_h) * dilation_h
    columns = np.arange(out_w)[:, None] * op.stride_w - op.pad_left + np.arange(op.kernel_w) * dilation_w
    taps_in_all = x.shape[0] * rows.size * columns.size * x.shape[3]
    if taps_in_all > TAPS_MAX:
        raise DoesNotFit(f"an operator reads {taps_in_all} values, more than the {TAPS_MAX} that are gathered at once")
    row_inside = (rows >= 0) & (rows < x.shape[1])
    column_inside = (columns >= 0) & (columns < x.shape[2])
    inside = row_inside[:, None, :, None] & column_inside[None, :, None, :]
    safe_rows, safe_columns = rows.clip(0, x.shape[1] - 1), columns.clip(0, x.shape[2] - 1)
    taps = x[:, safe_rows[:, None, :, None], safe_columns[None, :, None, :], :]
    return np.where(inside[None, ..., None], taps, fill), inside


def _scaled_channels(machine: ReferenceNetwork, op: ops.Convolution, acc: Ints) -> Ints:
    channels = acc.shape[-1]
    biased = wrap32(acc + machine.array(op.bias, channels, "<i4"))
    return multiply_by_quantized_multiplier(
        biased, machine.array(op.multipliers, channels, "<i4"), machine.array(op.shifts, channels, "i1")
    )


def _conv(machine: ReferenceNetwork, op: ops.Conv2D) -> None:
    taps, _ = _windows(machine, op, machine.tensors[op.input].zero_point)
    channels = machine.tensors[op.output].dims[3]
    depth = taps.shape[-1] // op.groups
    weights = machine.array(op.weights, channels * op.kernel_h * op.kernel_w * depth, "i1")
    weights = weights.reshape(op.groups, channels // op.groups, op.kernel_h, op.kernel_w, depth)
    grouped = taps.reshape(*taps.shape[:-1], op.groups, depth)
    acc = np.einsum("nyxijgk,goijk->nyxgo", grouped, weights)
    machine.put(op, _scaled_channels(machine, op, acc.reshape(*acc.shape[:3], channels)))


def _depthwise(machine: ReferenceNetwork, op: ops.DepthwiseConv2D) -> None:
    taps, _ = _windows(machine, op, machine.tensors[op.input].zero_point)
    channels = machine.tensors[op.output].dims[3]
    weights = machine.array(op.weights, op.kernel_h * op.kernel_w * channels, "i1")
    weights = weights.reshape(op.kernel_h, op.kernel_w, channels)
    acc = np.einsum("nyxijc,ijc->nyxc", np.repeat(taps, op.groups, axis=-1), weights)
    machine.put(op, _scaled_channels(machine, op, acc))


def _fully_connected(machine: ReferenceNetwork, op: ops.FullyConnected) -> None:
    x = machine.get(op.input)[0, 0]
    channels = machine.tensors[op.output].dims[3]
    weights = machine.array(op.weights, channels * x.shape[1], "i1").reshape(channels, -1)
    acc = wrap32(x @ weights.T + machine.array(op.bias, channels, "<i4"))
    count = channels if op.per_channel else 1
    machine.put(
        op,
        multiply_single_rounding(
            acc, machine.array(op.multipliers, count, "<i4"), machine.array(op.shifts, count, "i1")
        ),
    )


def _average_pool(machine: ReferenceNetwork, op: ops.AveragePool) -> None:
    taps, inside = _windows(machine, op, 0)
    total = taps.sum(axis=(3, 4))
    count = inside.sum(axis=(2, 3))[None, ..., None]
    magnitude = (np.abs(total) + count // 2) // count
    machine.store(op.output, np.clip(np.where(total > 0, magnitude, -magnitude), op.low, op.high))


def _max_pool(machine: ReferenceNetwork, op: ops.MaxPool) -> None:
    taps, _ = _windows(machine, op, -128)
    machine.store(op.output, np.clip(taps.max(axis=(3, 4)), op.low, op.high))


def _mean(machine: ReferenceNetwork, op: ops.Mean) -> None:
    x = machine.get(op.input) - machine.tensors[op.input].zero_point
    axes = tuple(axis for axis in range(4) if op.axes >> axis & 1)
    machine.put(op, multiply_by_quantized_multiplier(x.sum(axis=axes, keepdims=True), op.multiplier, op.shift))


def _pair(machine: ReferenceNetwork, op: ops.Add | ops.Mul) -> tuple[Ints, Ints]:
    """Read both inputs without their zero points, broadcast to the output's dims."""
    dims = machine.tensors[op.output].dims
    first = machine.get(op.input) - machine.tensors[op.input].zero_point
    second = machine.get(op.second) - machine.tensors[op.second].zero_point
    return np.broadcast_to(first, dims), np.broadcast_to(second, dims)


def _add(machine: ReferenceNetwork, op: ops.Add) -> None:
    first, second = _pair(machine, op)
    total = multiply_by_quantized_multiplier(
        first << 20, op.multiplier_1, op.shift_1
    ) + multiply_by_quantized_multiplier(second << 20, op.multiplier_2, op.shift_2)
    machine.put(op, multiply_by_quantized_multiplier(total, op.multiplier_out, op.shift_out))


def _mul(machine: ReferenceNetwork, op: ops.Mul) -> None:
    first, second = _pair(machine, op)
    machine.put(op, multiply_by_quantized_multiplier(first * second, op.multiplier, op.shift))


def _quantize(machine: ReferenceNetwork, op: ops.Quantize) -> None:
    machine.put(
        op,
        multiply_by_quantized_multiplier(
            machine.get(op.input) - machine.tensors[op.input].zero_point, op.multiplier, op.shift
        ),
    )


def _lookup(machine: ReferenceNetwork, op: ops.Lookup) -> None:
    machine.store(op.output, machine.array(op.table, 256, "i1")[machine.get(op.input) + 128])


_EXP_STEPS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp_on_negative(a: Ints) -> Ints:
    """Q5 in, Q0 out: e to the power of a."""
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
    """One over a sum in Q12, as Q0 and the bits over one."""
    headroom = 32 - total.bit_length()
    a = ((total << headroom) & 0xFFFFFFFF) - (1 << 31)
    half = np.array([(a + (1 << 31)) >> 1], np.int64)
    x = 1515870810 + srdhm(half, -1010580540)
    for _ in range(3):
        x = x + shl(srdhm(x, (1 << 29) - srdhm(half, x)), 2)
    return shl(x, 1), 12 - headroom


def _softmax(machine: ReferenceNetwork, op: ops.Softmax) -> None:
    x = machine.get(op.input)
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        diff = row - row.max()
        counts = diff >= op.diff_min
        scaled = srdhm(np.where(counts, diff, 0) << op.shift, op.multiplier)
        e = _exp_on_negative(scaled)
        scale, over = _reciprocal(int(rdp(e[counts], 12).sum()))
        out = rdp(srdhm(e, scale), over + 31 - 8) - 128
        rows.append(np.where(counts, np.clip(out, -128, 127), -128))
    machine.store(op.output, np.array(rows, np.int64))


def _pad(machine: ReferenceNetwork, op: ops.Pad) -> None:
    x = machine.get(op.input)
    out = np.full(machine.tensors[op.output].dims, op.low, np.int64)
    before = (op.before_n, op.before_h, op.before_w, op.before_c)
    out[tuple(slice(b, b + size) for b, size in zip(before, x.shape, strict=True))] = x
    machine.store(op.output, out)


def _concatenation(machine: ReferenceNetwork, op: ops.Concatenation) -> None:
    out = machine.get(op.output).reshape(-1)
    for i, block in enumerate(machine.get(op.input).reshape(-1, op.block)):
        out[op.start + i * op.stride : op.start + i * op.stride + op.block] = block
    machine.store(op.output, out)


_RUN: dict[type[ops.Operator], Callable[[ReferenceNetwork, Any], None]] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
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
}
