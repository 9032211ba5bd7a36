# SPDX-License-Identifier: Apache-2.0
"""Lowers the operators that take parts of a tensor. A part whose bytes are adjacent costs nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.operators import Slice
from reconciler.compiler.tflite.arena_layout import ALIGNMENT
from reconciler.compiler.tflite.graph_reader import Node
from reconciler.compiler.tflite.plan_builder import Dims, PlanBuilder

_RANK = 4


def lower_strided_slice(plan: PlanBuilder, node: Node) -> None:
    """STRIDED_SLICE with constant bounds."""
    shape = plan.tensor(node, 0).shape
    begins, ends, steps = (plan.constant(node, position).ints() for position in (1, 2, 3))
    if any(node.options.get(mask) for mask in ("ellipsisMask", "newAxisMask")) or node.options.get("offset"):
        raise OperatorUnsupported(f"{node.location} adds dimensions, which is not supported: use RESHAPE for that")
    skipped = [node.option(mask) for mask in ("beginMask", "endMask", "shrinkAxisMask")]
    ranges = []
    for axis, size in enumerate(shape):
        step = steps[axis] if axis < len(steps) else 1
        if step < 1:
            raise OperatorUnsupported(f"{node.location} has the step {step}; only positive steps are supported")
        begin_free, end_free, single = (mask >> axis & 1 for mask in skipped)
        given = axis < len(begins)
        begin, end, _ = slice(
            None if begin_free or not given else begins[axis], None if end_free or not given else ends[axis]
        ).indices(size)
        ranges.append(range(begin, begin + 1 if single else end, step))
    _take(plan, node, node.outputs[0], ranges)


def lower_slice(plan: PlanBuilder, node: Node) -> None:
    """SLICE with constant bounds; a size of -1 reaches to the end."""
    shape = plan.tensor(node, 0).shape
    begins, sizes = (plan.constant(node, position).ints() for position in (1, 2))
    ranges = [
        range(begin, full if size < 0 else begin + size) for begin, size, full in zip(begins, sizes, shape, strict=True)
    ]
    _take(plan, node, node.outputs[0], ranges)


def lower_split(plan: PlanBuilder, node: Node) -> None:
    """SPLIT into equal parts, or SPLIT_V into parts of given sizes."""
    data, axes = (0, 2) if node.name == "SPLIT_V" else (1, 0)
    shape = plan.tensor(node, data).shape
    axis = plan.constant(node, axes).ints()[0] % len(shape)
    count = len(node.outputs)
    sizes = plan.constant(node, 1).ints() if node.name == "SPLIT_V" else [shape[axis] // count] * count
    rest = shape[axis] - sum(size for size in sizes if size >= 0)
    start = 0
    for output, size in zip(node.outputs, sizes, strict=True):
        end = start + (rest if size < 0 else size)
        whole = [range(full) for full in shape]
        _take(plan, node, output, [*whole[:axis], range(start, end), *whole[axis + 1 :]], data)
        start = end


def _take(plan: PlanBuilder, node: Node, output: int, ranges: Sequence[range], data: int = 0) -> None:
    """Make a tensor of the graph from a range along each axis of an input."""
    shape = plan.tensor(node, data).shape
    if any(not len(r) or r.start < 0 or r[-1] >= size for r, size in zip(ranges, shape, strict=True)):
        raise OperatorUnsupported(f"{node.location} takes no element along an axis, or more than there are")
    source = plan.input(node, data)
    x, y = plan.values[source], plan.graph.tensors[output]
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise OperatorUnsupported(f"{node.location} changes the scale: convert the model again")
    for axis, taken in enumerate(ranges, _RANK - len(shape)):
        source = _cut(plan, node, source, axis, taken)
    plan.of_tensor[output] = plan.view(source, plan.dims_of(y, node))


def _cut(plan: PlanBuilder, node: Node, source: int, axis: int, taken: range) -> int:
    """Return the value that is left of another one along an axis."""
    x = plan.values[source]
    outer, size, inner = math.prod(x.dims[:axis]), x.dims[axis], math.prod(x.dims[axis + 1 :])
    if len(taken) == size:
        return source
    if taken.step > 1 and len(taken) > 1:
        if outer > 1 and (size % taken.step or taken.start >= taken.step or len(taken) != size // taken.step):
            raise OperatorUnsupported(
                f"{node.location} has the step {taken.step} along an axis whose size it does not divide: "
                "pad or cut the tensor to a multiple of the step first"
            )
        if taken.start >= taken.step:
            source = _cut(plan, node, source, axis, range(taken.start, taken[-1] + 1))
            taken = range(0, taken[-1] + 1 - taken.start, taken.step)
        block, stride = inner, taken.step * inner
    else:
        block, stride = len(taken) * inner, size * inner
    dims = _with_size(x.dims, axis, len(taken))
    start = taken.start * inner
    part = replace(x, dims=dims, offset=x.offset + start)
    if taken.step == 1 and outer == 1 and (x.buffer is None or part.offset % ALIGNMENT == 0):
        return plan.add(part)
    target = plan.add(replace(x, dims=dims, buffer=plan.add_buffer(math.prod(dims)), offset=0))
    plan.emit(Slice(source, target, -128, 127, block, stride, start))
    return target


def _with_size(dims: Dims, axis: int, size: int) -> Dims:
    n, h, w, c = (size if number == axis else old for number, old in enumerate(dims))
    return n, h, w, c
