# SPDX-License-Identifier: Apache-2.0
"""Refuses graphs with operators or types that packs lack: names the operator, its layer, and what to do instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Graph, Node, Tensor

_FIXED_BATCH = "give the model a fixed batch size: Input(batch_size=1)"
_WINDOW = "use 1-D convolutions over a window instead"
_UPSAMPLING = "leave upsampling out of the model"
_NORMALIZATION = "use BatchNormalization, which is folded into the layer before it"
_RELU = "use RELU, LEAKY_RELU, HARD_SWISH or TANH"

# What to use instead of the operators that models most often have.
ADVICE: Mapping[str, str] = {
    "SHAPE": _FIXED_BATCH,
    "PACK": _FIXED_BATCH,
    "FILL": _FIXED_BATCH,
    "BROADCAST_TO": f"{_FIXED_BATCH}; if the layer is UpSampling2D, {_UPSAMPLING}",
    "TILE": f"if the layer is UpSampling2D, {_UPSAMPLING}",
    "UNIDIRECTIONAL_SEQUENCE_RNN": _WINDOW,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _WINDOW,
    "LSTM": _WINDOW,
    "RNN": _WINDOW,
    "WHILE": f"unroll the recurrent layer, or {_WINDOW}",
    "IF": "remove the branch from the model",
    "BATCH_MATMUL": "use dense layers with constant weights",
    "SUB": "fold the subtraction into the layer before it, or train with ADD",
    "SQUARED_DIFFERENCE": _NORMALIZATION,
    "RSQRT": _NORMALIZATION,
    "NEG": f"if the layer is a normalization, {_NORMALIZATION}",
    "MAXIMUM": "use ADD or CONCATENATION, or a max pool",
    "MINIMUM": "use ADD or CONCATENATION",
    "SUM": "use MEAN",
    "ELU": _RELU,
    "PRELU": _RELU,
    "EXP": _RELU,
    "LOG": _RELU,
    "GREATER": _RELU,
    "SELECT": _RELU,
    "DIV": "multiply by the reciprocal of the constant",
    "RESIZE_NEAREST_NEIGHBOR": _UPSAMPLING,
    "RESIZE_BILINEAR": _UPSAMPLING,
    "TRANSPOSE_CONV": _UPSAMPLING,
    "ARG_MAX": "leave it out, and set `decide: argmax`",
    "TRANSPOSE": "use the channels-last layout in the model",
}
_COMPILED = {
    "ethos-u": "an Arm Ethos-U by Vela",
    "edgetpu-custom-op": "an Edge TPU",
    "NeutronGraph": "an NXP Neutron",
}
_QUANTIZE_FULLY = "quantize the whole model to full int8, or give the .keras file with spec.quantize.representative"
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_FLOATS = frozenset({"FLOAT32", "FLOAT16", "FLOAT64", "BFLOAT16"})


def refuse_unsupported(graph: Graph, supported: Collection[str]) -> None:
    """Refuse a graph that was compiled for other hardware, computes in float, or has operators that packs lack."""
    for node in graph.nodes:
        chip = _COMPILED.get(node.name.removeprefix("CUSTOM "))
        if chip is not None:
            raise OperatorUnsupported(
                f"{node.location}: the model was compiled for {chip}, which no device here has: "
                "give the .tflite file from which it was compiled"
            )
    _refuse_floats(graph)
    missing = [node for node in graph.nodes if node.name not in supported]
    if missing:
        first = missing[0]
        advice = ADVICE.get(first.name, "docs/build.md lists the operators that packs have")
        raise OperatorUnsupported(f"{first.location} is not supported: {advice}{_others(missing[1:], first.name)}")
    if graph.subgraphs != 1:
        raise OperatorUnsupported(f"the model has {graph.subgraphs} subgraphs; only models with one can be built")


def _others(nodes: Iterable[Node], named: str) -> str:
    counts = Counter(node.name for node in nodes if node.name != named)
    listed = ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in sorted(counts.items()))
    return f". Also not supported: {listed}" if listed else ""


def _refuse_floats(graph: Graph) -> None:
    floating = [node for node in graph.nodes if _computes_in(graph, node, _FLOATS)]
    if not floating:
        return
    computing = [node for node in floating if node.name not in _CONVERSIONS]
    if any(_computes_in(graph, node, {"INT8"}) for node in graph.nodes if node.name not in _CONVERSIONS):
        first = (computing or floating)[0]
        advice = ADVICE.get(first.name, "use a layer that TensorFlow Lite computes in int8")
        raise OperatorUnsupported(
            f"{first.location} computes in float, although the rest of the model is int8: {advice}"
        )
    weights = {tensor.type for node in computing for tensor in _constants(graph, node)}
    kind = "a hybrid model: its weights are int8, but it computes in float" if "INT8" in weights else "a float model"
    raise OperatorUnsupported(f"{floating[0].location}: this is {kind}; {_QUANTIZE_FULLY}")


def _computes_in(graph: Graph, node: Node, types: Collection[str]) -> bool:
    """Return whether an operator reads or writes values of these types that are not constant."""
    indices = (*node.inputs, *node.outputs)
    return any(graph.tensors[i].type in types and graph.tensors[i].data is None for i in indices if i >= 0)


def _constants(graph: Graph, node: Node) -> list[Tensor]:
    return [graph.tensors[i] for i in node.inputs if i >= 0 and graph.tensors[i].data is not None]
