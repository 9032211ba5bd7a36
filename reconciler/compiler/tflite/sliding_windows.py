# SPDX-License-Identifier: Apache-2.0
"""Finds variables that hold a window over time, which a plan can keep without copying it.

Streaming models join the kept rows with the new ones, compute on both, and assign the younger rows to the variable:

    rows = CONCATENATION(READ_VARIABLE(v), new);  ASSIGN_VARIABLE(v, STRIDED_SLICE(rows, len(new):))

In a plan, kept and new rows are adjacent in one buffer, so the concatenation costs nothing, and one SLICE at the end of
the plan moves the younger rows down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.tflite.graph_reader import Graph, Node
from reconciler.compiler.tflite.graph_rewrites import SHAPES_ONLY

# What these make may be a view of what they read.
VIEWS = SHAPES_ONLY | {"TRANSPOSE", "READ_VARIABLE", "STRIDED_SLICE", "SLICE", "SPLIT", "SPLIT_V"}
_ALIGNMENT = 4
_KEPT_AND_NEW = 2


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """The tensors of a window, and the operators that its buffer replaces."""

    state: int
    joined: int
    new: int
    replaced: frozenset[int]  # indices of operators


def views_of(graph: Graph, tensor: int) -> frozenset[int]:
    """Return all tensors that may be views of a tensor, with itself."""
    found = {tensor}
    for node in graph.nodes:
        if node.name in VIEWS and found.intersection(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def sliding_windows(graph: Graph) -> list[SlidingWindow]:
    """Return the windows of a graph after `resolve_variables`."""
    found: list[SlidingWindow] = []
    for state in graph.states:
        window = _window(graph, state)
        if window is not None and window.joined not in {other.joined for other in found}:
            found.append(window)
    return found


def _window(graph: Graph, state: int) -> SlidingWindow | None:
    reads = [node for node in graph.nodes if node.inputs[:1] == (state,) and node.name == "READ_VARIABLE"]
    assigns = [node for node in graph.nodes if node.outputs[:1] == (state,)]
    if len(reads) != 1 or len(assigns) != 1:
        return None
    cut = next((node for node in graph.nodes if assigns[0].inputs[0] in node.outputs), None)
    if cut is None or cut.name != "STRIDED_SLICE":
        return None
    join = next((node for node in graph.nodes if cut.inputs[0] in node.outputs), None)
    if join is None or join.name != "CONCATENATION" or len(join.inputs) != _KEPT_AND_NEW:
        return None
    if join.inputs[0] != reads[0].outputs[0] or not _slides(graph, state, join, cut):
        return None
    views = views_of(graph, join.outputs[0]) | views_of(graph, reads[0].outputs[0])
    if views.intersection(graph.outputs):
        return None  # an output is read after the rows have moved
    others = [node for node in graph.nodes if cut.outputs[0] in node.inputs and node is not assigns[0]]
    replaced = {join.index, assigns[0].index} | (set() if others else {cut.index})
    return SlidingWindow(state, join.outputs[0], join.inputs[1], frozenset(replaced))


def _slides(graph: Graph, state: int, join: Node, cut: Node) -> bool:
    """Return whether the joined rows are adjacent, and the cut leaves out as many old ones as there are new ones."""
    joined, new = graph.tensors[join.outputs[0]], graph.tensors[join.inputs[1]]
    axis = join.option("axis") % len(joined.shape)
    kept = graph.tensors[state].elements
    if math.prod(joined.shape[:axis]) != 1 or kept % _ALIGNMENT or kept + new.elements != joined.elements:
        return False
    same = {(t.scales, t.zero_points) for t in (joined, new, graph.tensors[state])}
    return len(same) == 1 and join.option("fusedActivationFunction") == 0 and _starts(graph, cut) == new.shape[axis]


def _starts(graph: Graph, cut: Node) -> int | None:
    """Return at which row a STRIDED_SLICE of adjacent rows starts, up to the end; None if it does something else."""
    bounds = [graph.tensors[i] for i in cut.inputs[1:4]]
    source = graph.tensors[cut.inputs[0]].shape
    if any(t.data is None for t in bounds) or any(
        cut.options.get(m) for m in ("ellipsisMask", "newAxisMask", "offset")
    ):
        return None
    begins, ends, steps = (t.ints() for t in bounds)
    if set(steps) != {1} or cut.option("shrinkAxisMask") or not len(begins) == len(ends) == len(source):
        return None
    taken = [_range(cut, axis, begins, ends, size) for axis, size in enumerate(source)]
    sliced = [axis for axis, (r, size) in enumerate(zip(taken, source, strict=True)) if len(r) != size]
    if len(sliced) != 1 or math.prod(source[: sliced[0]]) != 1 or taken[sliced[0]].stop != source[sliced[0]]:
        return None
    return taken[sliced[0]].start


def _range(cut: Node, axis: int, begins: Sequence[int], ends: Sequence[int], size: int) -> range:
    begin = None if cut.option("beginMask") >> axis & 1 else begins[axis]
    end = None if cut.option("endMask") >> axis & 1 else ends[axis]
    return range(*slice(begin, end).indices(size))
