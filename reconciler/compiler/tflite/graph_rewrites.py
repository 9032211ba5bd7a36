# SPDX-License-Identifier: Apache-2.0
"""Rewrites of a graph that save operators and change no result.

Each takes a graph and returns one with fewer operators; what nothing reads any more is left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from reconciler.compiler.tflite.graph_reader import Border, Graph, Node, Tensor
from reconciler.compiler.tflite.window import Window

SHAPES_ONLY = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
# These compute each element from one other, whatever the order of the elements is.
POINTWISE = frozenset({
    "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "GELU",
})  # fmt: skip
_WINDOW_FIELDS = {
    "CONV_2D": ("strideH", "strideW", "dilationHFactor", "dilationWFactor"),
    "DEPTHWISE_CONV_2D": ("strideH", "strideW", "dilationHFactor", "dilationWFactor"),
    "MAX_POOL_2D": ("strideH", "strideW", "filterHeight", "filterWidth"),
}
_IMAGE_RANK = 4
_LEAST = -128


def rewrite(graph: Graph) -> Graph:
    """Apply all rewrites."""
    return keep_needed(_fold_transposes(_fold_padding(keep_needed(graph))))


def keep_needed(graph: Graph) -> Graph:
    """Leave out operators that no output depends on, such as those that only compute shapes."""
    required = {*graph.outputs, *graph.states}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not required.intersection(node.outputs):
            continue
        kept.append(node)
        read = node.inputs[:1] if node.name in SHAPES_ONLY else node.inputs
        required.update(index for index in read if index >= 0)
    return replace(graph, nodes=tuple(kept[::-1]))


def _writers(graph: Graph) -> dict[int, Node]:
    return {index: node for node in graph.nodes for index in node.outputs}


def _reads(graph: Graph) -> Counter[int]:
    """Return how often each tensor is read; a reader is also the outside of the model."""
    return Counter([*graph.outputs, *(index for node in graph.nodes for index in node.inputs)])


def permutation(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """Return the order of the axes that a TRANSPOSE makes, if it is one of int8 and consistent."""
    if node.name != "TRANSPOSE" or len(node.inputs) < 2 or min(node.inputs) < 0:  # noqa: PLR2004 - tensor and axes
        return None
    source, axes, target = (graph.tensors[i] for i in (*node.inputs[:2], node.outputs[0]))
    if axes.data is None or axes.type not in {"INT32", "INT64"} or source.type != target.type:
        return None
    order = tuple(axes.ints())
    if sorted(order) != list(range(len(source.shape))) or not _same_quantization(source, target):
        return None
    return order if target.shape == tuple(source.shape[axis] for axis in order) else None


def element_order(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each element after a transposition where it was before."""
    indices = np.arange(int(np.prod(shape))).reshape(shape).transpose(order)
    return tuple(int(index) for index in indices.reshape(-1))


def _same_quantization(first: Tensor, second: Tensor) -> bool:
    return (first.scales, first.zero_points) == (second.scales, second.zero_points)


def _fold_padding(graph: Graph) -> Graph:
    """Let a convolution or maximum pool pad its input itself, if the fill counts as what is outside of an input."""
    writers = _writers(graph)
    nodes = []
    for original in graph.nodes:
        node = original
        while node.name in _WINDOW_FIELDS and (pad := writers.get(node.inputs[0])) is not None:
            folded = _with_border(graph, node, pad)
            if folded is None:
                break
            node = folded
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _with_border(graph: Graph, node: Node, pad: Node) -> Node | None:
    """Return the operator with the border that a PAD adds, if both are equal."""
    border = _added_border(graph, pad, _LEAST if node.name == "MAX_POOL_2D" else None)
    if border is None:
        return None
    rows, columns = ((mine[0] + more[0], mine[1] + more[1]) for mine, more in zip(node.border, border, strict=True))
    grown = replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), border=(rows, columns))
    return grown if _windows_fit(graph, grown) else None


def _added_border(graph: Graph, pad: Node, fill: int | None) -> Border | None:
    """Return the rows and columns that a PAD adds, if it fills them with a value (None: the zero point)."""
    if pad.name not in {"PAD", "PADV2"} or min(pad.inputs) < 0:
        return None
    source, amounts, target = (graph.tensors[i] for i in (*pad.inputs[:2], pad.outputs[0]))
    if amounts.data is None or source.type != "INT8" or len(source.shape) != _IMAGE_RANK:
        return None
    filled = target.zero_point
    if pad.name == "PADV2":
        constant = graph.tensors[pad.inputs[2]]
        if constant.data is None:
            return None
        filled = constant.ints()[0]
    pairs = np.array(amounts.ints()).reshape(-1, 2)
    grown = tuple(size + int(pair.sum()) for size, pair in zip(source.shape, pairs, strict=True))
    spatial = not pairs[[0, 3]].any() and pairs.min() >= 0
    if not spatial or grown != target.shape or not _same_quantization(source, target):
        return None
    if filled != (source.zero_point if fill is None else fill):
        return None
    return (int(pairs[1][0]), int(pairs[1][1])), (int(pairs[2][0]), int(pairs[2][1]))


def _windows_fit(graph: Graph, node: Node) -> bool:
    """Return whether every window still reaches the input, without its border."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if len(x.shape) != _IMAGE_RANK or len(y.shape) != _IMAGE_RANK:
        return False
    first, second, third, fourth = (node.option(field) for field in _WINDOW_FIELDS[node.name])
    if node.name == "MAX_POOL_2D":
        windows = Window(third, first), Window(fourth, second)
    else:
        kernel = graph.tensors[node.inputs[1]].shape
        windows = Window(kernel[1], first, third), Window(kernel[2], second, fourth)
    kind = node.option("padding")
    for axis, window in enumerate(windows, 1):
        padding = window.padding(x.shape[axis], y.shape[axis], kind, node.border[axis - 1])
        if not window.fits(x.shape[axis], y.shape[axis], padding):
            return False
    return True


def _fold_transposes(graph: Graph) -> Graph:
    """Reorder the weights of a dense layer instead of its input."""
    for node in graph.nodes:
        if node.name == "FULLY_CONNECTED":
            graph = _without_transpose(graph, node)
    return graph


def _without_transpose(graph: Graph, dense: Node) -> Graph:
    writers, reads = _writers(graph), _reads(graph)
    chain = [dense]  # from the dense layer back to the reader of the transposed tensor
    while (writer := writers.get(chain[-1].inputs[0])) is not None and reads[writer.outputs[0]] == 1:
        order = permutation(graph, writer)
        if order is not None:
            return _with_reordered_weights(graph, dense, chain[-1], writer, order)
        if writer.name not in SHAPES_ONLY | POINTWISE:
            return graph
        chain.append(writer)
    return graph


def _with_reordered_weights(graph: Graph, dense: Node, reader: Node, transpose: Node, order: tuple[int, ...]) -> Graph:
    if min(dense.inputs[:2]) < 0:
        return graph
    source, weights = graph.tensors[transpose.inputs[0]], graph.tensors[dense.inputs[1]]
    if weights.type != "INT8" or weights.data is None or weights.shape[-1] != source.elements:
        return graph
    matrix = np.frombuffer(weights.data, "<i1").reshape(-1, source.elements)
    reordered = np.empty_like(matrix)
    reordered[:, list(element_order(source.shape, order))] = matrix
    added = replace(weights, index=len(graph.tensors), data=reordered.tobytes())
    nodes = []
    for node in graph.nodes:
        inputs = node.inputs
        if node.index == dense.index:
            inputs = (inputs[0], added.index, *inputs[2:])
        if node.index == reader.index:
            inputs = (source.index, *inputs[1:])
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, tensors=(*graph.tensors, added), nodes=tuple(nodes))
