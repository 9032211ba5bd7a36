# SPDX-License-Identifier: Apache-2.0
"""The part of a lowered network between two cuts, as a network of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reconciler.compiler.pack.operators import Add, Mul, Operator
from reconciler.compiler.tflite.graph_reader import Graph
from reconciler.compiler.tflite.lowering import LoweredNetwork
from reconciler.compiler.tflite.plan_builder import PlanBuilder

Tensors = tuple[int, ...]


def cut_tensors(graph: Graph, first: int, end: int) -> tuple[Tensors, Tensors]:
    """Return the tensors that the nodes `first` to `end` - 1 read from before, and those that are read after them."""
    inside = graph.nodes[first:end]
    made = {index for node in inside for index in node.outputs}
    read = [index for node in inside for index in node.inputs if index >= 0 and graph.tensors[index].data is None]
    later = {index for node in graph.nodes[end:] for index in node.inputs} | set(graph.outputs)
    given = dict.fromkeys(index for index in read if index not in made)
    kept = dict.fromkeys(index for node in inside for index in node.outputs if index in later)
    return tuple(given), tuple(kept)


def slice_network(whole: LoweredNetwork, first: int, end: int) -> LoweredNetwork:
    """Return the part of a network that the nodes `first` to `end` - 1 of its graph became.

    Its plan shares the weights of the whole, and must not add to them.
    """
    plan = whole.plan
    given, kept = cut_tensors(plan.graph, first, end)
    ends = (0, *whole.operator_ends)
    operators = plan.operators[ends[first] : ends[end]]
    inputs, outputs = ([plan.of_tensor[index] for index in side] for side in (given, kept))
    used = sorted({*inputs, *outputs, *_values_of(operators)})
    place = {value: number for number, value in enumerate(used)}
    buffers = sorted({buffer for value in used if (buffer := plan.values[value].buffer) is not None})
    home = {buffer: number for number, buffer in enumerate(buffers)}
    values = [
        replace(value, buffer=None if value.buffer is None else home[value.buffer])
        for value in (plan.values[index] for index in used)
    ]
    part = PlanBuilder(
        plan.graph,
        values,
        [_moved(operator, place) for operator in operators],
        buffers=[plan.buffers[buffer] for buffer in buffers],
        weights=plan.weights,
    )
    return LoweredNetwork(part, _places(inputs, place), _places(outputs, place), (None,) * len(inputs))


def _values_of(operators: Sequence[Operator]) -> Iterable[int]:
    for operator in operators:
        yield from operator.inputs()
        yield operator.output


def _places(values: Iterable[int], place: dict[int, int]) -> tuple[int, ...]:
    return tuple(place[value] for value in values)


def _moved(operator: Operator, place: dict[int, int]) -> Operator:
    moved = replace(operator, input=place[operator.input], output=place[operator.output])
    return replace(moved, second=place[moved.second]) if isinstance(moved, Add | Mul) else moved
