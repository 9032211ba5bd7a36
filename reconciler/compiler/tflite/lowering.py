# SPDX-License-Identifier: Apache-2.0
"""From the graph of a `.tflite` to a plan: which operators there are, and what leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Graph, Node
from reconciler.compiler.tflite.lower_elementwise import (
    lower_add,
    lower_lookup,
    lower_mul,
    lower_quantize,
    lower_relu,
    lower_softmax,
)
from reconciler.compiler.tflite.lower_layers import (
    lower_average_pool,
    lower_concatenation,
    lower_conv,
    lower_depthwise,
    lower_fully_connected,
    lower_max_pool,
    lower_mean,
    lower_pad,
    lower_reduce_max,
)
from reconciler.compiler.tflite.memory_plan import NetworkPlan

Lower = Callable[[NetworkPlan, Node], None]


def _free(planning: NetworkPlan, node: Node) -> None:
    planning.alias(node)


LOWERINGS: Mapping[str, Lower] = {
    "CONV_2D": lower_conv,
    "DEPTHWISE_CONV_2D": lower_depthwise,
    "FULLY_CONNECTED": lower_fully_connected,
    "AVERAGE_POOL_2D": lower_average_pool,
    "MAX_POOL_2D": lower_max_pool,
    "MEAN": lower_mean,
    "REDUCE_MAX": lower_reduce_max,
    "ADD": lower_add,
    "MUL": lower_mul,
    "QUANTIZE": lower_quantize,
    "RELU": lower_relu,
    "RELU6": lower_relu,
    "RELU_N1_TO_1": lower_relu,
    "LOGISTIC": lower_lookup,
    "TANH": lower_lookup,
    "HARD_SWISH": lower_lookup,
    "LEAKY_RELU": lower_lookup,
    "GELU": lower_lookup,
    "SOFTMAX": lower_softmax,
    "PAD": lower_pad,
    "PADV2": lower_pad,
    "CONCATENATION": lower_concatenation,
    "RESHAPE": _free,
    "EXPAND_DIMS": _free,
    "SQUEEZE": _free,
}

# What to do about operators that people meet most often.
ADVICE: Mapping[str, str] = {
    "SHAPE": "give the model a fixed batch size: Input(batch_size=1)",
    "STRIDED_SLICE": "give the model a fixed batch size: Input(batch_size=1), and don't slice",
    "PACK": "give the model a fixed batch size: Input(batch_size=1)",
    "TRANSPOSE": "order the channels last in the model itself",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "use 1-D convolutions over a window instead",
    "WHILE": "unroll the recurrent layer, or use 1-D convolutions over a window",
    "BATCH_MATMUL": "use dense layers with constant weights",
    "SUB": "fold the subtraction into the layer before it, or train with ADD",
    "MAXIMUM": "use ADD or CONCATENATION, or a maximum pool",
    "MINIMUM": "use ADD or CONCATENATION",
    "ELU": "use RELU, LEAKY_RELU or TANH",
    "DIV": "multiply by the inverse constant",
    "RESIZE_NEAREST_NEIGHBOR": "use transposed structure at the gateway, or drop upsampling",
    "DEQUANTIZE": "quantize the whole model to full int8; floats may only stand at its ends",
}


def lower(graph: Graph) -> tuple[NetworkPlan, tuple[int, ...], tuple[int, ...]]:
    """Return the planning with all operators, and the values of the inputs and outputs."""
    planning = NetworkPlan(graph)
    nodes, sources, sinks = _trim_ends(planning, _needed(graph))
    inputs = tuple(planning.make(index) for index in sources)
    for node in nodes:
        handler = LOWERINGS.get(node.name)
        if handler is None:
            advice = ADVICE.get(node.name, "see docs/build.md for the operators that packs have")
            raise OperatorUnsupported(f"{node.place} is not supported: {advice}")
        try:
            handler(planning, node)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise ModelUnreadable(f"{node.place} contradicts itself: {error}") from error
    outputs = tuple(planning.value_of(index) for index in sinks)
    _check_ends(planning, inputs, outputs)
    return planning, inputs, outputs


def _needed(graph: Graph) -> list[Node]:
    """Leave out what only computes shapes: the shapes are known."""
    wanted = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not wanted.intersection(node.outputs):
            continue
        kept.append(node)
        data_only = node.name in {"RESHAPE", "EXPAND_DIMS", "SQUEEZE"}
        wanted.update(i for i in (node.inputs[:1] if data_only else node.inputs) if i >= 0)
    return kept[::-1]


def _trim_ends(planning: NetworkPlan, nodes: list[Node]) -> tuple[list[Node], list[int], list[int]]:
    """Cut off the conversion from float (or uint8) at the inputs and back at the outputs."""
    graph = planning.graph
    sources, sinks = list(graph.inputs), list(graph.outputs)
    dropped: set[int] = set()
    for place, index in enumerate(graph.inputs):
        readers = [n for n in nodes if index in n.inputs]
        if graph.tensors[index].type == "INT8" or len(readers) != 1 or readers[0].name != "QUANTIZE":
            continue
        sources[place] = readers[0].outputs[0]
        dropped.add(readers[0].index)
        planning.notes.append(f"input {place} is taken as int8; {graph.tensors[index].type} ends at the gateway")
    for place, index in enumerate(graph.outputs):
        makers = [n for n in nodes if index in n.outputs]
        if graph.tensors[index].type == "INT8" or not makers or makers[0].name not in {"DEQUANTIZE", "QUANTIZE"}:
            continue
        sinks[place] = makers[0].inputs[0]
        dropped.add(makers[0].index)
        planning.notes.append(f"output {place} is given as int8")
    return [n for n in nodes if n.index not in dropped], sources, sinks


def _check_ends(planning: NetworkPlan, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    if not inputs or not outputs or not planning.operators:
        raise OperatorUnsupported("the model has no inputs, no outputs, or nothing to compute")
    for index in outputs:
        if planning.values[index].buffer is None:
            raise OperatorUnsupported("an output of the model is a constant")
