# SPDX-License-Identifier: Apache-2.0
"""Refuses every pack that the device's checker must refuse (docs/specs/pack.md section 9).

The device checks once, at staging, so that an inference checks nothing. The same rules here keep the
builder honest and give both sides the same verdict on the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconciler.build.container import (
    Descriptor,
    ElementType,
    Kind,
    Pack,
    Parameter,
    SectionId,
    decode_golden,
    decode_io,
    decode_parameters,
    disassemble,
)
from reconciler.build.errors import PackMalformed
from reconciler.build.forestformat import Mode, decode_features, decode_forest
from reconciler.build.head import Mode as HeadMode
from reconciler.build.head import decode_head
from reconciler.build.operators import (
    Add,
    AveragePool,
    Concatenation,
    Conv2D,
    Convolution,
    DepthwiseConv2D,
    FullyConnected,
    Lookup,
    MaxPool,
    Mean,
    Mul,
    Operator,
    Pad,
    Pool,
    Quantize,
    Softmax,
    TensorRecord,
    decode_plan,
    decode_tensors,
)
from reconciler.build.threshold import check_threshold

MOST_RECORDS = 4096
_IN_PLACE = (Add, Mul, Quantize, Lookup)


def check_pack(data: bytes, *, arena_bytes: int = 1 << 31) -> None:
    """Raise `PackMalformed` with the first rule that the bytes break."""
    pack = disassemble(data)
    _demand(pack.arena_bytes <= arena_bytes, f"needs {pack.arena_bytes} bytes of arena, the device has {arena_bytes}")
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    parameters = decode_parameters(pack.section(SectionId.PARAMETERS))
    if pack.kind is Kind.NEURAL_NETWORK:
        _check_network(pack, inputs, outputs, parameters)
    else:
        _check_simple(pack, inputs, outputs, parameters)
    decode_golden(pack.section(SectionId.GOLDEN), inputs, outputs)


def _demand(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise PackMalformed(message)


def _check_simple(pack: Pack, inputs: list[Descriptor], outputs: list[Descriptor], parameters: list[Parameter]) -> None:
    """Kinds 0 and 2."""
    _demand(len(inputs) == len(outputs) == 1, "this kind has one input and one output")
    source, target = inputs[0], outputs[0]
    _demand(source.tensor is None and target.tensor is None, "this kind has no tensors")
    _demand(target.type is ElementType.INT32 and len(target.shape) == 1, "the output must be a row of int32")
    if pack.kind is Kind.THRESHOLD:
        _demand(
            source.type is not ElementType.INT32 and len(source.shape) == 1, "the input must be a row of int8 or int16"
        )
        _demand(target.elements == 2, "the output must be a decision and a score")  # noqa: PLR2004 - these two
        check_threshold(pack.section(SectionId.THRESHOLD), source, len(parameters))
        return
    window = decode_features(pack.section(SectionId.FEATURES))
    forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
    _demand(source.type is ElementType.INT16, "the input must be int16")
    _demand(source.shape == (window.samples, window.channels), "the input must be [samples, channels]")
    _demand(target.elements == 1 + forest.outputs, "the output must be the decision and the sums")
    _demand(forest.mode is not Mode.ISOLATION or bool(parameters), "an isolation forest needs parameter 0")
    _demand(pack.arena_bytes >= 4 * (len(window.features) + forest.outputs), "the arena is too small for the features")


@dataclass(frozen=True, slots=True)
class _Network:
    tensors: list[TensorRecord]
    weights: bytes
    arena_bytes: int

    def array(self, offset: int, count: int, code: str) -> list[int]:
        size = count * np.dtype(code).itemsize
        _demand(offset % 4 == 0 and offset + size <= len(self.weights), "an array lies outside WEIGHTS")
        return [int(v) for v in np.frombuffer(self.weights[offset : offset + size], code)]


def _check_network(
    pack: Pack, inputs: list[Descriptor], outputs: list[Descriptor], parameters: list[Parameter]
) -> None:
    network = _Network(
        decode_tensors(pack.section(SectionId.TENSORS)), pack.section(SectionId.WEIGHTS), pack.arena_bytes
    )
    plan = decode_plan(pack.section(SectionId.PLAN))
    _demand(1 <= len(plan) <= MOST_RECORDS and len(network.tensors) <= MOST_RECORDS, "too few or too many records")
    for record in network.tensors:
        _check_tensor(network, record)
    head = pack.section(SectionId.HEAD)
    if head:
        last = outputs[-1]
        right = last.tensor is None and last.type is ElementType.INT32 and last.shape == (2,)
        _demand(right and len(outputs) > 1, "with HEAD the last output must be a decision and a score")
        _check_head(network, head, len(parameters))
    for item in (*inputs, *(outputs[:-1] if head else outputs)):
        _demand(item.type is ElementType.INT8 and item.tensor is not None, "an end must be an int8 tensor")
        _demand(item.tensor is not None and item.tensor < len(network.tensors), "an end names an unknown tensor")
        record = network.tensors[item.tensor or 0]
        _demand(not record.constant and record.elements == item.elements, "an end does not match its tensor")
    for operator in plan:
        _check_operator(network, operator)


def _check_tensor(network: _Network, record: TensorRecord) -> None:
    _demand(min(record.dims) >= 1 and record.elements < 1 << 24, "a tensor has impossible dims")
    room = len(network.weights) if record.constant else network.arena_bytes
    _demand(record.offset + record.elements <= room, "a tensor lies outside its memory")
    _demand(record.constant or record.offset % 4 == 0, "a tensor is not aligned")


def _check_head(network: _Network, section: bytes, parameters: int) -> None:
    head = decode_head(section)
    pair = (head.first, head.second) if head.mode is HeadMode.RECONSTRUCTION else (head.first,)
    _demand(all(i < len(network.tensors) and not network.tensors[i].constant for i in pair), "HEAD: unknown tensor")
    _demand(head.parameter is None or head.parameter < parameters, "HEAD: unknown parameter")
    if head.mode is HeadMode.RECONSTRUCTION:
        first, second = (network.tensors[i].elements for i in pair)
        _demand(first == second <= 32768, "HEAD: the tensors differ in size, or are too large")  # noqa: PLR2004
        _check_mbqm(head.multiplier, head.shift)


def _check_operator(network: _Network, op: Operator) -> None:
    count = len(network.tensors)
    _demand(op.output < count and all(i < count for i in op.inputs()), f"{op.NAME}: unknown tensor")
    target = network.tensors[op.output]
    _demand(not target.constant and op.low <= op.high, f"{op.NAME}: writes a constant, or has an empty clamp")
    for index in op.inputs():
        source = network.tensors[index]
        apart = source.offset + source.elements <= target.offset or target.offset + target.elements <= source.offset
        same = (source.offset, source.elements) == (target.offset, target.elements)
        allowed = source.constant or apart or (same and isinstance(op, _IN_PLACE))
        _demand(allowed, f"{op.NAME}: the output overlaps an input")
    _CHECKS[type(op)](network, op, network.tensors[op.input], target)


def _check_mbqm(multiplier: int, shift: int) -> None:
    _demand(multiplier >= 0 and -31 <= shift <= 30, "a multiplier or a shift is out of range")  # noqa: PLR2004


def _check_axis(op: Operator, size_in: int, size_out: int, window: tuple[int, int, int, int]) -> None:
    kernel, stride, dilation, pad = window
    fits = min(kernel, stride, dilation) >= 1 and pad < (kernel - 1) * dilation + 1
    _demand(fits and (size_out - 1) * stride - pad < size_in, f"{op.NAME}: a window lies outside the input")


def _check_convolution(network: _Network, op: Convolution, x: TensorRecord, y: TensorRecord) -> None:
    _demand(x.dims[0] == y.dims[0], f"{op.NAME}: batches differ")
    _check_axis(op, x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, op.dilation_h, op.pad_top))
    _check_axis(op, x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, op.dilation_w, op.pad_left))
    channels = y.dims[3]
    _demand(op.groups >= 1, f"{op.NAME}: no groups")
    if isinstance(op, Conv2D):
        _demand(x.dims[3] % op.groups == 0 and channels % op.groups == 0, "CONV_2D: groups don't divide the channels")
        taps = channels * op.kernel_h * op.kernel_w * (x.dims[3] // op.groups)
    else:
        _demand(channels == x.dims[3] * op.groups, "DEPTHWISE_CONV_2D: channels don't match")
        taps = channels * op.kernel_h * op.kernel_w
    network.array(op.weights, taps, "i1")
    network.array(op.bias, channels, "<i4")
    multipliers = network.array(op.multipliers, channels, "<i4")
    for multiplier, shift in zip(multipliers, network.array(op.shifts, channels, "i1"), strict=True):
        _check_mbqm(multiplier, shift)


def _check_fully_connected(network: _Network, op: FullyConnected, x: TensorRecord, y: TensorRecord) -> None:
    _demand(op.per_channel <= 1, "FULLY_CONNECTED: unknown flag")
    _demand(
        x.dims[:3] == y.dims[:3] and x.dims[:2] == (1, 1), "FULLY_CONNECTED: dims must be [1, 1, b, n], [1, 1, b, m]"
    )
    channels = y.dims[3]
    network.array(op.weights, channels * x.dims[3], "i1")
    network.array(op.bias, channels, "<i4")
    count = channels if op.per_channel else 1
    _demand(min(network.array(op.multipliers, count, "<i4")) >= 0, "FULLY_CONNECTED: negative multiplier")
    shifts = network.array(op.shifts, count, "i1")
    _demand(min(shifts) >= 1 and max(shifts) <= 62, "FULLY_CONNECTED: shift out of range")  # noqa: PLR2004


def _check_pool(_network: _Network, op: Pool, x: TensorRecord, y: TensorRecord) -> None:
    _demand((x.dims[0], x.dims[3]) == (y.dims[0], y.dims[3]), f"{op.NAME}: batches or channels differ")
    _check_axis(op, x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, 1, op.pad_top))
    _check_axis(op, x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, 1, op.pad_left))


def _check_mean(_network: _Network, op: Mean, x: TensorRecord, y: TensorRecord) -> None:
    wanted = tuple(1 if op.axes >> axis & 1 else size for axis, size in enumerate(x.dims))
    _demand(1 <= op.axes <= 15 and y.dims == wanted, "MEAN: dims or axes don't match")  # noqa: PLR2004
    _demand(x.elements // y.elements < 1 << 20, "MEAN: too many elements")
    _check_mbqm(op.multiplier, op.shift)


def _check_broadcast(network: _Network, op: Add | Mul, y: TensorRecord) -> None:
    for index in op.inputs():
        dims = network.tensors[index].dims
        _demand(all(d in {1, out} for d, out in zip(dims, y.dims, strict=True)), f"{op.NAME}: dims don't broadcast")


def _check_add(network: _Network, op: Add, _x: TensorRecord, y: TensorRecord) -> None:
    _check_broadcast(network, op, y)
    _demand(max(op.shift_1, op.shift_2, op.shift_out) <= 0, "ADD: a shift is positive")
    for multiplier, shift in (
        (op.multiplier_1, op.shift_1),
        (op.multiplier_2, op.shift_2),
        (op.multiplier_out, op.shift_out),
    ):
        _check_mbqm(multiplier, shift)


def _check_mul(network: _Network, op: Mul, _x: TensorRecord, y: TensorRecord) -> None:
    _check_broadcast(network, op, y)
    _check_mbqm(op.multiplier, op.shift)


def _check_quantize(_network: _Network, op: Quantize, x: TensorRecord, y: TensorRecord) -> None:
    _demand(x.elements == y.elements, "QUANTIZE: sizes differ")
    _check_mbqm(op.multiplier, op.shift)


def _check_lookup(network: _Network, op: Lookup, x: TensorRecord, y: TensorRecord) -> None:
    _demand(x.elements == y.elements and (op.low, op.high) == (-128, 127), "LOOKUP: sizes differ, or there is a clamp")
    network.array(op.table, 256, "i1")


def _check_softmax(_network: _Network, op: Softmax, x: TensorRecord, y: TensorRecord) -> None:
    _demand(x.dims == y.dims and x.dims[3] <= 4096, "SOFTMAX: dims differ, or the row is too long")  # noqa: PLR2004
    _demand((y.zero_point, op.low, op.high) == (-128, -128, 127), "SOFTMAX: zero point or clamp is wrong")
    _demand(op.multiplier >= 0 and 0 <= op.shift <= 31 and -255 <= op.diff_min <= 0, "SOFTMAX: out of range")  # noqa: PLR2004


def _check_pad(_network: _Network, op: Pad, x: TensorRecord, y: TensorRecord) -> None:
    before = (op.before_n, op.before_h, op.before_w, op.before_c)
    inside = all(b + size <= out for b, size, out in zip(before, x.dims, y.dims, strict=True))
    _demand(inside and op.low == op.high, "PAD: the input does not fit, or the fill value is unclear")


def _check_concatenation(_network: _Network, op: Concatenation, x: TensorRecord, y: TensorRecord) -> None:
    _demand(op.block >= 1 and x.elements % op.block == 0, "CONCATENATION: blocks don't divide the input")
    blocks = x.elements // op.block
    _demand(blocks == 1 or op.start + op.block <= op.stride, "CONCATENATION: blocks overlap")
    _demand(op.start + (blocks - 1) * op.stride + op.block <= y.elements, "CONCATENATION: ends after the output")


_CHECKS: dict[type[Operator], Callable[[_Network, Any, TensorRecord, TensorRecord], None]] = {
    Conv2D: _check_convolution,
    DepthwiseConv2D: _check_convolution,
    FullyConnected: _check_fully_connected,
    AveragePool: _check_pool,
    MaxPool: _check_pool,
    Mean: _check_mean,
    Add: _check_add,
    Mul: _check_mul,
    Quantize: _check_quantize,
    Lookup: _check_lookup,
    Softmax: _check_softmax,
    Pad: _check_pad,
    Concatenation: _check_concatenation,
}


def operator_numbers(data: bytes) -> Sequence[int]:
    """Return the numbers of the operators that a pack needs, ascending."""
    pack = disassemble(data)
    if pack.kind is Kind.NEURAL_NETWORK:
        return sorted({operator.NUMBER for operator in decode_plan(pack.section(SectionId.PLAN))})
    return [17 if pack.kind is Kind.THRESHOLD else 16]
