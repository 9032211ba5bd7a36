# SPDX-License-Identifier: Apache-2.0
"""Lowers variables to states of the pack: tensors whose buffers last from one inference to the next."""

from __future__ import annotations

from dataclasses import replace

from reconciler.compiler.pack.operators import Concatenation, Slice
from reconciler.compiler.tflite.graph_reader import Graph, Node
from reconciler.compiler.tflite.graph_rewrites import SHAPES_ONLY
from reconciler.compiler.tflite.plan_builder import PlanBuilder
from reconciler.compiler.tflite.sliding_windows import VIEWS, SlidingWindow, views_of


def add_states(plan: PlanBuilder) -> None:
    """Give each variable its buffer. That of a window has space for the new rows behind those that are kept."""
    of_state = {window.state: window for window in plan.windows}
    for index, initial in plan.graph.states.items():
        window = of_state.get(index)
        state = plan.make_state(index) if window is None else _make_window(plan, window)
        plan.states[state] = initial


def _make_window(plan: PlanBuilder, window: SlidingWindow) -> int:
    tensor, whole = plan.graph.tensors[window.state], plan.graph.tensors[window.joined]
    plan.placed[window.state] = (plan.add_buffer(whole.elements), 0)
    state = plan.make(window.state)
    kept = plan.values[state]
    plan.of_tensor[window.joined] = plan.add(replace(kept, dims=plan.dims_of(whole, None)))
    made = _maker(plan.graph, window.new)
    if _can_be_placed(plan, made):
        plan.placed[made] = (kept.buffer or 0, tensor.elements)
    return state


def lower_in_window(plan: PlanBuilder, node: Node) -> bool:
    """Lower an operator that is part of a window; return whether it is one."""
    window = next((window for window in plan.windows if node.index in window.replaced), None)
    if window is not None and node.outputs[0] == window.joined:
        _join(plan, window, node)
    return window is not None


def _join(plan: PlanBuilder, window: SlidingWindow, node: Node) -> None:
    """Copy the new rows of a window to their place, unless the operator that makes them writes them there."""
    new = plan.value_of(window.new, node)
    kept = plan.values[plan.of_tensor[window.state]]
    place = replace(plan.values[new], buffer=kept.buffer, offset=kept.elements)
    if plan.values[new] != place:
        plan.emit(Concatenation(new, plan.add(place), -128, 127, place.elements, place.elements, 0))


def slide_windows(plan: PlanBuilder) -> None:
    """Move the younger rows of each window to the place of those that are kept."""
    for window in plan.windows:
        state, joined = plan.of_tensor[window.state], plan.of_tensor[window.joined]
        kept, whole = plan.values[state].elements, plan.values[joined].elements
        plan.emit(Slice(joined, state, -128, 127, kept, kept, whole - kept))


def lower_read_variable(plan: PlanBuilder, node: Node) -> None:
    """READ_VARIABLE: a view of the state, or a copy if the variable is assigned before what was read is used."""
    state = plan.input(node)
    tensor = plan.graph.tensors[node.outputs[0]]
    view = plan.view(state, plan.dims_of(tensor, node))
    if not _is_assigned_before_last_use(plan, node):
        plan.of_tensor[tensor.index] = view
        return
    _copy(plan, view, plan.make(tensor.index, node))


def lower_assign_variable(plan: PlanBuilder, node: Node) -> None:
    """ASSIGN_VARIABLE: a copy to the state."""
    state = plan.of_tensor[node.outputs[0]]
    source = plan.input(node)
    value, kept = plan.values[source], plan.values[state]
    if (value.buffer, value.offset) != (kept.buffer, kept.offset):
        _copy(plan, source, state)


def _copy(plan: PlanBuilder, source: int, target: int) -> None:
    size = plan.values[target].elements
    plan.emit(Slice(source, target, -128, 127, size, size, 0))


def _is_assigned_before_last_use(plan: PlanBuilder, read: Node) -> bool:
    graph = plan.graph
    views = views_of(graph, read.outputs[0])
    if views.intersection(graph.outputs):
        return True
    positions = {node.index: at for at, node in enumerate(graph.nodes)}
    uses = [positions[node.index] for node in graph.nodes if views.intersection(node.inputs)]
    sliding = {window.state for window in plan.windows}
    assigns = [positions[node.index] for node in graph.nodes if node.outputs[:1] == read.inputs]
    return read.inputs[0] not in sliding and any(positions[read.index] < at < max(uses, default=-1) for at in assigns)


def _maker(graph: Graph, tensor: int) -> int:
    """Return the tensor of which this one is another shape."""
    writers = {output: node for node in graph.nodes for output in node.outputs}
    while (writer := writers.get(tensor)) is not None and writer.name in SHAPES_ONLY:
        tensor = writer.inputs[0]
    return tensor


def _can_be_placed(plan: PlanBuilder, tensor: int) -> bool:
    """Return whether a tensor gets a buffer of its own, which can be a part of another one instead."""
    graph = plan.graph
    writer = next((node for node in graph.nodes if tensor in node.outputs), None)
    own = tensor in graph.inputs if writer is None else writer.name not in VIEWS and len(writer.outputs) == 1
    joined = {window.joined for window in plan.windows}
    return own and tensor not in plan.placed and tensor not in joined and graph.tensors[tensor].data is None
