# SPDX-License-Identifier: Apache-2.0
"""Puts layers of a plan into their wide form, which trades arena for speed (docs/specs/pack.md section 6.4)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import astuple, replace
from typing import Any

import numpy as np

from reconciler.compiler.pack.fixed_point import Ints
from reconciler.compiler.pack.operators import (
    DENSE_WIDE,
    Conv2D,
    Convolution,
    DepthwiseConv2D,
    FullyConnected,
    Lookup,
    Operator,
    SequenceLstm,
    Svdf,
    WideConv2D,
    WideDepthwiseConv2D,
)
from reconciler.compiler.pack.wide_forms import QUAD, SHIFTS, interleave_pairs, interleave_quads, scratch_bytes
from reconciler.compiler.tflite.plan_builder import Dims, PlanBuilder

_PLANE_BYTES = 2048  # of a wide depthwise layer: more rows in a band would save little


def layers_to_widen(plan: PlanBuilder) -> frozenset[int]:
    """Return the positions of the operators that have a wide form which is faster."""
    return frozenset(at for at, operator in enumerate(plan.operators) if _gains(plan, operator))


def _gains(plan: PlanBuilder, op: Operator) -> bool:
    y = plan.values[op.output]
    if isinstance(op, FullyConnected):
        return plan.values[op.input].dims[3] % QUAD == 0
    if not isinstance(op, Convolution):
        return False
    shifts = _read(plan, op.shifts, y.dims[3], "i1")
    fits = bool(SHIFTS[0] <= shifts.min() and shifts.max() <= SHIFTS[1])
    if isinstance(op, DepthwiseConv2D):
        fits = fits and op.dilation_w == 1
    return fits and y.dims[1] * y.dims[2] > 1


def _band(op: DepthwiseConv2D, output: Dims) -> int:
    """Return the most rows of a band whose scratch is small enough, or one."""
    wide = WideDepthwiseConv2D(*_fields(op, output[1], 0))
    while wide.band > 1 and scratch_bytes(wide, 0, output) > _PLANE_BYTES:
        wide = replace(wide, band=wide.band - 1)
    return wide.band


def with_wide_layers(plan: PlanBuilder, chosen: AbstractSet[int]) -> PlanBuilder:
    """Return the plan with the chosen operators in their wide form, and with the weights that it needs."""
    new = PlanBuilder(
        plan.graph,
        of_tensor=dict(plan.of_tensor),
        buffers=list(plan.buffers),
        states=dict(plan.states),
        notes=list(plan.notes),
    )
    for value in plan.values:
        kept = value
        if value.buffer is None:
            kept = replace(value, offset=new.blob(_bytes(plan, value.offset, value.elements)))
        new.values.append(kept)
    for at, operator in enumerate(plan.operators):
        new.emit(_moved(plan, new, operator, wide=at in chosen))
    return new


def _moved(plan: PlanBuilder, new: PlanBuilder, op: Operator, *, wide: bool) -> Operator:
    """Copy the weights of an operator, and return it with their new offsets."""
    channels, depth = plan.values[op.output].dims[3], plan.values[op.input].dims[3]
    if not isinstance(op, (Convolution, FullyConnected)):
        return _with_moved_arrays(plan, new, op)
    if isinstance(op, Convolution):
        scales = channels
        taps = channels * op.kernel_h * op.kernel_w * (depth // op.groups if isinstance(op, Conv2D) else 1)
    else:
        scales = channels if op.per_channel else 1
        taps = channels * depth
    weights = _read(plan, op.weights, taps, "i1")
    if wide and isinstance(op, Conv2D):
        shape = (op.groups, channels // op.groups, op.kernel_h, op.kernel_w, depth // op.groups)
        weights = interleave_pairs(weights.reshape(shape))
    if wide and isinstance(op, FullyConnected):
        weights = interleave_quads(weights.reshape(channels, depth))
    moved = replace(
        op,
        weights=new.array(weights, "i1"),
        bias=new.blob(_bytes(plan, op.bias, 4 * channels)),
        multipliers=new.blob(_bytes(plan, op.multipliers, 4 * scales)),
        shifts=new.blob(_bytes(plan, op.shifts, scales)),
    )
    if wide and isinstance(moved, FullyConnected):
        return replace(moved, flags=moved.flags | DENSE_WIDE)
    if wide and isinstance(moved, Conv2D):
        return WideConv2D(*_fields(moved, 0))  # the offset follows when the arena is laid out
    if wide and isinstance(moved, DepthwiseConv2D):
        return WideDepthwiseConv2D(*_fields(moved, _band(moved, plan.values[op.output].dims), 0))
    return moved


def _with_moved_arrays(plan: PlanBuilder, new: PlanBuilder, op: Operator) -> Operator:
    """Copy the arrays of an operator without a wide form."""
    if isinstance(op, Lookup):
        return replace(op, table=new.blob(_bytes(plan, op.table, 256)))
    if isinstance(op, (Svdf, SequenceLstm)):
        sizes = op.array_bytes(plan.values[op.input].dims[3], plan.values[op.output].dims[3])
        moved: dict[str, Any] = {name: new.blob(_bytes(plan, getattr(op, name), size)) for name, size in sizes.items()}
        return replace(op, **moved)
    return op


def _fields(op: Convolution, *more: int) -> list[int]:
    """Return the fields of a record in the wide form, which follow those of the plain form."""
    return [*astuple(op), *more]


def _bytes(plan: PlanBuilder, offset: int, size: int) -> bytes:
    return bytes(plan.weights[offset : offset + size])


def _read(plan: PlanBuilder, offset: int, count: int, code: str) -> Ints:
    size = count * np.dtype(code).itemsize
    return np.frombuffer(_bytes(plan, offset, size), code).astype(np.int64)
