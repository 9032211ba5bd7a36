# SPDX-License-Identifier: Apache-2.0
"""Lowers the graph of a `.tflite` file to the operators of a plan."""

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
from reconciler.compiler.tflite.plan_builder import PlanBuilder

Lower = Callable[[PlanBuilder, Node], None]


def _lower_reshape(plan: PlanBuilder, node: Node) -> None:
    plan.alias(node)


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
    "RESHAPE": _lower_reshape,
    "EXPAND_DIMS": _lower_reshape,
    "SQUEEZE": _lower_reshape,
}

# What to use instead of the operators that models most often have.
ADVICE: Mapping[str, str] = {
    "SHAPE": "give the model a fixed batch size: Input(batch_size=1)",
    "STRIDED_SLICE": "give the model a fixed batch size: Input(batch_size=1), and do not slice",
    "PACK": "give the model a fixed batch size: Input(batch_size=1)",
    "TRANSPOSE": "use the channels-last layout in the model",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "use 1-D convolutions over a window instead",
    "WHILE": "unroll the recurrent layer, or use 1-D convolutions over a window",
    "BATCH_MATMUL": "use dense layers with constant weights",
    "SUB": "fold the subtraction into the layer before it, or train with ADD",
    "MAXIMUM": "use ADD or CONCATENATION, or a max pool",
    "MINIMUM": "use ADD or CONCATENATION",
    "ELU": "use RELU, LEAKY_RELU or TANH",
    "DIV": "multiply by the reciprocal of the constant",
    "RESIZE_NEAREST_NEIGHBOR": "leave upsampling out of the model",
    "DEQUANTIZE": "quantize the whole model to full int8; only its inputs and outputs may be float",
}


def lower(graph: Graph) -> tuple[PlanBuilder, tuple[int, ...], tuple[int, ...]]:
    """Return the plan with all operators, and the values of the inputs and outputs."""
    plan = PlanBuilder(graph)
    nodes, sources, sinks = _trim_conversions(plan, _needed(graph))
    inputs = tuple(plan.make(index) for index in sources)
    for node in nodes:
        handler = LOWERINGS.get(node.name)
        if handler is None:
            advice = ADVICE.get(node.name, "docs/build.md lists the operators that packs have")
            raise OperatorUnsupported(f"{node.location} is not supported: {advice}")
        try:
            handler(plan, node)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise ModelUnreadable(f"{node.location} is inconsistent: {error}") from error
    outputs = tuple(plan.value_of(index) for index in sinks)
    _check_interface(plan, inputs, outputs)
    return plan, inputs, outputs


def _needed(graph: Graph) -> list[Node]:
    """Return the operators that the outputs depend on; those that only compute shapes are left out."""
    required = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not required.intersection(node.outputs):
            continue
        kept.append(node)
        reshapes = node.name in {"RESHAPE", "EXPAND_DIMS", "SQUEEZE"}
        required.update(i for i in (node.inputs[:1] if reshapes else node.inputs) if i >= 0)
    return kept[::-1]


def _trim_conversions(plan: PlanBuilder, nodes: list[Node]) -> tuple[list[Node], list[int], list[int]]:
    """Remove the conversions from float or uint8 at the inputs and back at the outputs."""
    graph = plan.graph
    sources, sinks = list(graph.inputs), list(graph.outputs)
    dropped: set[int] = set()
    for number, index in enumerate(graph.inputs):
        readers = [n for n in nodes if index in n.inputs]
        if graph.tensors[index].type == "INT8" or len(readers) != 1 or readers[0].name != "QUANTIZE":
            continue
        sources[number] = readers[0].outputs[0]
        dropped.add(readers[0].index)
        plan.notes.append(
            f"input {number} is int8 on the device; the gateway converts from {graph.tensors[index].type}"
        )
    for number, index in enumerate(graph.outputs):
        writers = [n for n in nodes if index in n.outputs]
        if graph.tensors[index].type == "INT8" or not writers or writers[0].name not in {"DEQUANTIZE", "QUANTIZE"}:
            continue
        sinks[number] = writers[0].inputs[0]
        dropped.add(writers[0].index)
        plan.notes.append(f"output {number} is int8 on the device")
    return [n for n in nodes if n.index not in dropped], sources, sinks


def _check_interface(plan: PlanBuilder, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    if not inputs or not outputs or not plan.operators:
        raise OperatorUnsupported("the model has no inputs, no outputs, or no operators")
    for index in outputs:
        if plan.values[index].buffer is None:
            raise OperatorUnsupported("an output of the model is a constant")
