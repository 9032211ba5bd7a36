# SPDX-License-Identifier: Apache-2.0
"""The wide forms of layers: the order of their weights, and the scratch that they need (docs/specs/pack.md 6.4)."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.pack.fixed_point import Ints
from reconciler.compiler.pack.operators import Convolution, FullyConnected, WideConv2D, WideDepthwiseConv2D

Dims = tuple[int, int, int, int]

QUAD = 4
SHIFTS = (-20, -1)  # of the multipliers of a wide convolution
PIXELS = 3  # that a wide convolution computes at once
_WIDENED = 2  # bytes of a value in the scratch


def filter_bytes(op: Convolution, depth: int) -> int:
    """Return the bytes of one filter of a wide CONV_2D: each row of the kernel is padded to whole quads."""
    return op.kernel_h * -(-op.kernel_w * (depth // op.groups) // QUAD) * QUAD


def weight_bytes(op: WideConv2D, depth: int, channels: int) -> int:
    """Return the bytes of all filters of a wide CONV_2D: a group has an even number of them."""
    return filter_bytes(op, depth) * op.groups * -(-(channels // op.groups) // 2) * 2


def scratch_bytes(op: WideConv2D | WideDepthwiseConv2D, depth: int, output: Dims) -> int:
    """Return the bytes of scratch of a wide layer, from the depth of its input and the dimensions of its output."""
    if isinstance(op, WideConv2D):
        return PIXELS * _WIDENED * filter_bytes(op, depth)
    _, height, width, _ = output
    taps = op.kernel_h * -(-op.kernel_w // 2) * 2
    rows = (min(op.band, height) - 1) * op.stride_h + (op.kernel_h - 1) * op.dilation_h + 1
    columns = (width - 1) * op.stride_w + op.kernel_w
    return _WIDENED * (taps + rows * ((columns + 2) // 2 * 2))


def dense_weight_bytes(op: FullyConnected, depth: int, channels: int) -> int:
    """Return the bytes of the weights of a FULLY_CONNECTED: in the wide form, of a multiple of four channels."""
    return depth * (-(-channels // QUAD) * QUAD if op.wide else channels)


def interleave_quads(weights: Ints) -> Ints:
    """Reorder the weights [channels, depth] of a FULLY_CONNECTED for its wide form."""
    channels, depth = weights.shape
    padded = np.pad(weights, ((0, -channels % QUAD), (0, 0)))
    return padded.reshape(-1, QUAD, depth // QUAD, QUAD).transpose(0, 2, 1, 3).reshape(-1)


def separate_quads(data: Ints, channels: int, depth: int) -> Ints:
    """Undo `interleave_quads`."""
    quads = data.reshape(-1, depth // QUAD, QUAD, QUAD).transpose(0, 2, 1, 3)
    return quads.reshape(-1, depth)[:channels]


def interleave_pairs(weights: Ints) -> Ints:
    """Reorder the filters [groups, channels, height, width, depth] of a CONV_2D for its wide form."""
    groups, channels, height, width, depth = weights.shape
    rows = weights.reshape(groups, channels, height, width * depth)
    rows = np.pad(rows, ((0, 0), (0, channels % 2), (0, 0), (0, -(width * depth) % QUAD)))
    quads = rows.reshape(groups, -1, 2, height * rows.shape[3] // QUAD, QUAD)
    return quads.transpose(0, 1, 3, 2, 4).reshape(-1)


def separate_pairs(data: Ints, shape: tuple[int, int, int, int, int]) -> Ints:
    """Undo `interleave_pairs`; the shape is that of its argument."""
    groups, channels, height, width, depth = shape
    row = -(-width * depth // QUAD) * QUAD
    quads = data.reshape(groups, -(-channels // 2), height * row // QUAD, 2, QUAD)
    rows = quads.transpose(0, 1, 3, 2, 4).reshape(groups, -1, height, row)
    return rows[:, :channels, :, : width * depth].reshape(shape)
