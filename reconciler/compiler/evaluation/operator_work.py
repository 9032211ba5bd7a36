# SPDX-License-Identifier: Apache-2.0
"""Counts the pieces of work in an inference of a network: what the engine's loops repeat, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum, auto
from typing import Any

import numpy as np

from reconciler.compiler.pack.operators import (
    LSTM_GATES,
    Add,
    Convolution,
    DepthwiseConv2D,
    FullyConnected,
    Lookup,
    Mean,
    Mul,
    Operator,
    Pad,
    Pool,
    Quantize,
    SequenceLstm,
    Softmax,
    StridedCopy,
    Svdf,
    WideConv2D,
    WideDepthwiseConv2D,
)
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.pack.wide_forms import PIXELS, QUAD, filter_bytes


class Work(StrEnum):
    """The kinds of work. Every one costs a number of instructions that depends on the core."""

    START = auto()
    INPUT_VALUE = auto()
    PLAIN_OUTPUT = auto()  # of convolutions in the plain form
    PLAIN_RUN = auto()  # of adjacent taps
    PLAIN_QUAD = auto()  # of products
    PLAIN_PRODUCT = auto()
    PLAIN_TAP_OUTSIDE = auto()
    PLAIN_VALUE_OUTSIDE = auto()  # of such a tap
    WINDOW = auto()  # that a wide convolution gathers
    WINDOW_ROW = auto()
    WINDOW_QUAD = auto()
    WINDOW_BYTE = auto()  # that is gathered alone
    PAIR = auto()  # of channels, for three pixels
    PAIR_QUAD = auto()
    LONE_PAIR = auto()  # if their number is odd: some cores compute two pairs at a time
    LONE_PAIR_QUAD = auto()
    PLANE = auto()  # of a channel of a wide depthwise convolution
    PLANE_LINE = auto()
    PLANE_VALUE = auto()
    WINDOW_3X3 = auto()  # of a wide depthwise convolution
    OTHER_WINDOW = auto()
    OTHER_WINDOW_ROW = auto()
    OTHER_WINDOW_PAIR = auto()  # of taps
    DENSE_OUTPUT = auto()
    DENSE_QUAD = auto()  # of products in the plain form
    DENSE_PRODUCT = auto()  # left over from quads
    WIDE_DENSE_OUTPUT = auto()
    WIDE_DENSE_QUAD = auto()  # for four channels
    POOL_OUTPUT = auto()
    POOL_ROW = auto()
    POOL_TAP = auto()
    SUM = auto()  # of two values of the same place
    LOOKUP = auto()
    PRODUCT = auto()  # of MUL, or an ADD that broadcasts
    PRODUCT_ROW = auto()
    REQUANTIZED_VALUE = auto()
    MEAN_VALUE = auto()
    COPIED_BLOCK = auto()
    COPIED_VALUE = auto()
    SOFTMAX_VALUE = auto()
    MEMORY_FILTER = auto()  # of an SVDF
    MEMORY_VALUE = auto()
    GATE = auto()  # of a unit of an LSTM, for each step


def network_work(inputs: int, plan: Sequence[Operator], tensors: Sequence[TensorRecord]) -> Counter[Work]:
    """Return the amount of each kind of work; `inputs` is the number of input values."""
    total: Counter[Work] = Counter({Work.START: 1, Work.INPUT_VALUE: inputs})
    for op in plan:
        total.update(_operator_work(op, tensors[op.input], tensors[op.output], tensors))
    return total


def _operator_work(op: Operator, x: TensorRecord, y: TensorRecord, tensors: Sequence[TensorRecord]) -> dict[Work, int]:
    for kind, work_of in _LAYERS:
        if isinstance(op, kind):
            return work_of(op, x, y)
    if isinstance(op, (Add, Mul)):
        is_sum = isinstance(op, Add) and tensors[op.second].elements == x.elements == y.elements
        rows = y.elements // y.dims[3]
        return {Work.SUM: y.elements} if is_sum else {Work.PRODUCT: y.elements, Work.PRODUCT_ROW: rows}
    return {_VALUES[type(op)]: max(x.elements, y.elements)}


def _pad(_op: Pad, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    """Count rows of the input; the whole output is filled first."""
    return {Work.COPIED_BLOCK: x.elements // x.dims[3], Work.COPIED_VALUE: x.elements + y.elements}


def _strided_copy(op: StridedCopy, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    copied = min(x.elements, y.elements)
    return {Work.COPIED_BLOCK: copied // op.block, Work.COPIED_VALUE: copied}


def _pool(op: Pool, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    rows = 1 if op.kernel_w == x.dims[2] else op.kernel_h
    taps = y.elements * op.kernel_h * op.kernel_w
    return {Work.POOL_OUTPUT: y.elements, Work.POOL_ROW: y.elements * rows, Work.POOL_TAP: taps}


def _plain_convolution(op: Convolution, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    """Count runs of adjacent taps inside of the input, whole quads of them, and what is left over or outside."""
    rows = _taps_inside(x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, op.dilation_h, op.pad_top))
    columns = _taps_inside(x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, op.dilation_w, op.pad_left))
    windows = y.dims[0] * y.dims[3]
    depth = 1 if isinstance(op, DepthwiseConv2D) else x.dims[3] // op.groups
    is_run = not isinstance(op, DepthwiseConv2D) and op.groups == op.dilation_w == 1
    lengths = [taps * depth for taps in columns if taps] if is_run else [depth] * sum(columns)
    inside = windows * sum(rows)
    outside = y.elements * op.kernel_h * op.kernel_w - inside * sum(columns)
    return {
        Work.PLAIN_OUTPUT: y.elements,
        Work.PLAIN_RUN: inside * len(lengths),
        Work.PLAIN_QUAD: inside * sum(length // QUAD for length in lengths),
        Work.PLAIN_PRODUCT: inside * sum(length % QUAD for length in lengths),
        Work.PLAIN_TAP_OUTSIDE: outside,
        Work.PLAIN_VALUE_OUTSIDE: outside * depth,
    }


def _taps_inside(size: int, outputs: int, window: tuple[int, int, int, int]) -> list[int]:
    """Return the number of taps inside of the input for each output along an axis."""
    kernel, stride, dilation, padding = window
    positions = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel) * dilation
    return [int(count) for count in ((positions >= 0) & (positions < size)).sum(axis=1)]


def _dense(op: FullyConnected, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    if not op.wide:
        quads, rest = divmod(x.dims[3], QUAD)
        return {
            Work.DENSE_OUTPUT: y.elements,
            Work.DENSE_QUAD: y.elements * quads,
            Work.DENSE_PRODUCT: y.elements * rest,
        }
    fours = y.dims[2] * -(-y.dims[3] // QUAD)
    return {Work.WIDE_DENSE_OUTPUT: y.elements, Work.WIDE_DENSE_QUAD: fours * x.dims[3] // QUAD}


def _svdf(op: Svdf, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    filters = y.elements * op.rank
    quads, rest = divmod(x.dims[3], QUAD)
    return {
        Work.REQUANTIZED_VALUE: y.elements,
        Work.MEMORY_FILTER: filters,
        Work.MEMORY_VALUE: filters * op.memory_size,
        Work.DENSE_QUAD: filters * quads,
        Work.DENSE_PRODUCT: filters * rest,
    }


def _lstm(_op: SequenceLstm, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    gates = LSTM_GATES * y.elements
    (quads, rest), (loop_quads, loop_rest) = divmod(x.dims[3], QUAD), divmod(y.dims[3], QUAD)
    return {
        Work.GATE: gates,
        Work.DENSE_QUAD: gates * (quads + loop_quads),
        Work.DENSE_PRODUCT: gates * (rest + loop_rest),
    }


def _wide_convolution(op: WideConv2D, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    quads = filter_bytes(op, x.dims[3]) // QUAD
    pixels = y.dims[1] * y.dims[2]
    together = -(-pixels // PIXELS) if pixels >= PIXELS else pixels
    threes = y.dims[0] * op.groups * together
    windows = threes * PIXELS
    pairs_of_group = -(-(y.dims[3] // op.groups) // 2)
    pairs, lone = threes * pairs_of_group, threes * (pairs_of_group % 2)
    gathered_quads, gathered_bytes = _gathered(op, x, y)
    outputs = max(1, pixels)
    return {
        Work.WINDOW: windows,
        Work.WINDOW_ROW: windows * op.kernel_h,
        Work.WINDOW_QUAD: windows * gathered_quads // outputs,
        Work.WINDOW_BYTE: windows * gathered_bytes // outputs,
        Work.PAIR: pairs,
        Work.PAIR_QUAD: pairs * quads,
        Work.LONE_PAIR: lone,
        Work.LONE_PAIR_QUAD: lone * quads,
    }


def _gathered(op: WideConv2D, x: TensorRecord, y: TensorRecord) -> tuple[int, int]:
    """Return the quads and the single bytes of the windows of all outputs of an image."""
    depth = x.dims[3] // op.groups
    rows = _taps_inside(x.dims[1], y.dims[1], (op.kernel_h, op.stride_h, op.dilation_h, op.pad_top))
    columns = _taps_inside(x.dims[2], y.dims[2], (op.kernel_w, op.stride_w, op.dilation_w, op.pad_left))
    clipped_rows = y.dims[1] * op.kernel_h - sum(rows)
    quads, rest = divmod(op.kernel_w * depth, QUAD)
    total_quads, total_bytes = clipped_rows * y.dims[2] * quads, clipped_rows * y.dims[2] * rest
    for position, taps in enumerate(columns):
        is_whole = taps == op.kernel_w and op.groups == op.dilation_w == 1
        before = 0 if position * op.stride_w >= op.pad_left else op.kernel_w - taps
        parts = [op.kernel_w * depth] if is_whole else [before * depth, taps * depth]
        at = 0
        for part in (*parts, op.kernel_w * depth - sum(parts)):
            aligned = part // QUAD if at == 0 else 0
            total_quads += sum(rows) * aligned
            total_bytes += sum(rows) * (part - QUAD * aligned)
            at = (at + part) % QUAD
    return total_quads, total_bytes


def _wide_depthwise(op: WideDepthwiseConv2D, x: TensorRecord, y: TensorRecord) -> dict[Work, int]:
    _, height, width, channels = y.dims
    bands = -(-height // op.band)
    planes = y.dims[0] * channels * bands
    copied = y.dims[0] * x.dims[3] * (height * op.stride_h + bands * (op.kernel_h - 1) * op.dilation_h)
    work = {
        Work.PLANE: planes,
        Work.PLANE_LINE: planes * min(op.band, width) + copied,
        Work.PLANE_VALUE: copied * x.dims[2],
    }
    if op.kernel_h == op.kernel_w == 3:  # noqa: PLR2004 - the kernel that has a loop of its own
        return work | {Work.WINDOW_3X3: y.elements}
    pairs = y.elements * op.kernel_h * -(-op.kernel_w // 2)
    rows = y.elements * op.kernel_h
    return work | {Work.OTHER_WINDOW: y.elements, Work.OTHER_WINDOW_ROW: rows, Work.OTHER_WINDOW_PAIR: pairs}


_LAYERS: Sequence[tuple[type[Operator], Callable[[Any, TensorRecord, TensorRecord], dict[Work, int]]]] = (
    (WideConv2D, _wide_convolution),
    (WideDepthwiseConv2D, _wide_depthwise),
    (Convolution, _plain_convolution),
    (FullyConnected, _dense),
    (Pool, _pool),
    (Svdf, _svdf),
    (SequenceLstm, _lstm),
    (Pad, _pad),
    (StridedCopy, _strided_copy),
)
_VALUES: Mapping[type[Operator], Work] = {
    Quantize: Work.REQUANTIZED_VALUE,
    Lookup: Work.LOOKUP,
    Softmax: Work.SOFTMAX_VALUE,
    Mean: Work.MEAN_VALUE,
}
