# SPDX-License-Identifier: Apache-2.0
"""Splits a layer into several, each of which computes some of its output channels, and a layer that joins them.

Each channel is computed from the same numbers as before, so every byte stays the same. The parts are operators like
all others: cuts go between them, and devices hold a layer together that none of them could hold alone.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Graph, Node, Tensor

PARTS_MAX = 4  # the one that joins them reads all, and a stage reads at most 4 tensors
_SPLITTABLE = frozenset({"CONV_2D", "FULLY_CONNECTED"})
_WEIGHTS, _BIAS = 1, 2  # places among the inputs


def can_be_split(graph: Graph, node: Node, parts: int) -> bool:
    """Return whether a layer's output channels can be computed in this many parts."""
    if node.name not in _SPLITTABLE or len(node.inputs) <= _WEIGHTS or not 2 <= parts <= PARTS_MAX:  # noqa: PLR2004
        return False
    given, weights = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[_WEIGHTS]]
    is_grouped = node.name == "CONV_2D" and given.shape[-1] != weights.shape[-1]
    return weights.data is not None and not is_grouped and weights.shape[0] >= parts


def split_layer(graph: Graph, position: int, parts: int) -> Graph:
    """Return a graph with the same outputs in which one node is computed in parts, one after the other, and joined."""
    node = graph.nodes[position]
    if not can_be_split(graph, node, parts):
        raise OperatorUnsupported(f"{node.location} can't be computed in {parts} parts")
    tensors = list(graph.tensors)
    target = tensors[node.outputs[0]]
    channels = target.shape[-1]
    bounds = [channels * number // parts for number in range(parts + 1)]
    nodes = []
    for first, end in itertools.pairwise(bounds):
        inputs = list(node.inputs)
        for place in (_WEIGHTS, _BIAS):
            if place < len(inputs) and inputs[place] >= 0:
                inputs[place] = _added(tensors, _slice(tensors[inputs[place]], first, end))
        shape = (*target.shape[:-1], end - first)
        made = _added(tensors, replace(target, name=f"{target.name}[{first}:{end}]", shape=shape))
        nodes.append(replace(node, layer=tensors[made].name, inputs=tuple(inputs), outputs=(made,)))
    options = {"axis": len(target.shape) - 1, "fusedActivationFunction": 0}
    joined = tuple(part.outputs[0] for part in nodes)
    join = Node(node.index, "CONCATENATION", node.layer, joined, node.outputs, "ConcatenationOptions", options)
    return replace(
        graph, tensors=tuple(tensors), nodes=(*graph.nodes[:position], *nodes, join, *graph.nodes[position + 1 :])
    )


def _added(tensors: list[Tensor], tensor: Tensor) -> int:
    tensors.append(replace(tensor, index=len(tensors)))
    return len(tensors) - 1


def _slice(tensor: Tensor, first: int, end: int) -> Tensor:
    """Return some rows of a constant; each belongs to one output channel."""
    if tensor.data is None:
        raise OperatorUnsupported(f"tensor {tensor.index} ({tensor.name}) is not a constant, so it can't be split")
    rows = tensor.shape[0]
    row_bytes = len(tensor.data) // rows
    is_by_row = len(tensor.scales) == rows and tensor.axis == 0
    return replace(
        tensor,
        name=f"{tensor.name}[{first}:{end}]",
        shape=(end - first, *tensor.shape[1:]),
        data=tensor.data[first * row_bytes : end * row_bytes],
        scales=tensor.scales[first:end] if is_by_row and rows > 1 else tensor.scales,
        zero_points=tensor.zero_points[first:end]
        if len(tensor.zero_points) == rows and rows > 1
        else tensor.zero_points,
    )
