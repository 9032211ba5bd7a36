# SPDX-License-Identifier: Apache-2.0
"""Lowers the operators that keep what they need of the past in tensors of their own: SVDF and LSTM."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.fixed_point import Ints
from reconciler.compiler.pack.operators import SequenceLstm, Svdf
from reconciler.compiler.tflite.graph_reader import Node, Tensor
from reconciler.compiler.tflite.lower_layers import accumulator_bands, bias_of, int8_weights, scaled_multiplier
from reconciler.compiler.tflite.plan_builder import PlanBuilder

_GATES = 4
_GATE_FRACTION_BITS = 12
_INT16_MAX = 32767
_CELL_BITS_MAX = 6
_WITH_BATCH = 3
# Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM
_WEIGHTS, _RECURRENT, _BIASES = 1, 5, 12
_HIDDEN, _CELL = 18, 19
_HIDDEN_INTERMEDIATE = 4
_VARIANTS = (
    ("peephole connections", (9, 10, 11)),
    ("projections", (16, 17)),
    ("normalized layers", (20, 21, 22, 23)),
)


def lower_svdf(plan: PlanBuilder, node: Node) -> None:
    """SVDF."""
    if node.option("fusedActivationFunction") != schema.ActivationFunctionType.RELU:
        raise OperatorUnsupported(f"{node.location}: only RELU is supported as its activation, as in TensorFlow Lite")
    x = plan.values[plan.input(node)]
    feature, weights = int8_weights(plan, node, 1)
    time = _time_weights(plan, node)
    filters, size = time.shape
    units = filters // node.option("rank")
    memory = _state(plan, node, 4, "INT16")
    target = plan.output(node)
    y = plan.values[target]
    if weights.shape != (filters, x.elements) or y.elements != units or memory.elements != time.size:
        raise OperatorUnsupported(
            f"{node.location}: {filters} filters with a memory of {size} do not match {x.elements} inputs, "
            f"{y.elements} outputs and a state of {memory.elements}: give the model a fixed batch of 1"
        )
    folded = -x.zero_point * weights.sum(axis=1)
    largest = max(abs(end) for band in accumulator_bands(weights, folded, node) for end in band)
    of_time = plan.constant(node, 2)
    multiplier, shift = scaled_multiplier(node, _product(x.scale, feature.scale, memory.scale), largest)
    out_multiplier, out_shift = scaled_multiplier(node, _product(memory.scale, of_time.scale, y.scale), 1)
    if out_shift > 0:
        raise OperatorUnsupported(
            f"{node.location}: the scale of the output is too small for that of the sums over time: "
            "quantize with representative data that covers the real range"
        )
    plan.emit(
        Svdf(
            plan.view(plan.input(node), (1, 1, 1, x.elements)), plan.view(target, (1, 1, 1, units)), -128, 127,
            plan.blob(feature.data or b""), plan.array(folded, "<i4"), plan.blob(of_time.data or b""),
            plan.array(bias_of(plan, node, units, 3), "<i4"), multiplier, out_multiplier, shift, out_shift,
            plan.of_tensor[memory.index], node.option("rank"), size,
        )
    )  # fmt: skip


def _time_weights(plan: PlanBuilder, node: Node) -> Ints:
    tensor = plan.constant(node, 2)
    if tensor.type != "INT16" or len(tensor.shape) != 2 or tensor.shape[0] % max(1, node.option("rank")):  # noqa: PLR2004 - filters and memory
        raise OperatorUnsupported(
            f"{node.location}: the weights over time are {tensor.type} of {list(tensor.shape)}, not INT16 of whole "
            "units by memory: quantize the whole model to full int8"
        )
    return np.frombuffer(tensor.data or b"", "<i2").astype(np.int64).reshape(tensor.shape)


def lower_lstm(plan: PlanBuilder, node: Node) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM of Keras: four gates, without peephole connections, projection or normalization."""
    _refuse_variants(plan, node)
    source = plan.input(node)
    x = plan.values[source]
    hidden, cell = _state(plan, node, _HIDDEN, "INT8"), _state(plan, node, _CELL, "INT16")
    units, depth = cell.elements, x.dims[3]
    steps = x.elements // depth
    shape = plan.tensor(node, 0).shape
    if len(shape) == _WITH_BATCH and shape[1 if node.option("timeMajor") else 0] != 1:
        raise OperatorUnsupported(f"{node.location}: the batch must be 1: give the model Input(batch_size=1)")
    inputs = _gates(plan, node, _WEIGHTS, (units, depth))
    loops = _gates(plan, node, _RECURRENT, (units, units))
    target = plan.output(node)
    if plan.values[target].elements != steps * units or hidden.elements != units:
        raise OperatorUnsupported(
            f"{node.location}: {units} units and {steps} steps do not match the output or the state: "
            "give the model Input(batch_size=1)"
        )
    biases = [bias_of(plan, node, units, _BIASES + gate) for gate in range(_GATES)]
    folded = [bias - x.zero_point * w.sum(axis=1) for bias, (_, w) in zip(biases, inputs, strict=True)]
    folded_loops = [-hidden.zero_point * w.sum(axis=1) for _, w in loops]
    made = plan.graph.tensors[_intermediate(node)]
    scales = [
        *_gate_scales(node, x.scale, inputs, folded),
        *_gate_scales(node, hidden.scale, loops, folded_loops),
        scaled_multiplier(node, _product(2.0**-15, 2.0**-15, made.scale), 1 << 30),
    ]
    bits = _cell_bits(node, cell)
    plan.emit(
        SequenceLstm(
            plan.view(source, (1, 1, steps, depth)), plan.view(target, (1, 1, steps, units)), -128, 127,
            plan.array(np.concatenate([w for _, w in inputs]), "i1"),
            plan.array(np.concatenate([w for _, w in loops]), "i1"),
            plan.array(np.concatenate(folded), "<i4"), plan.array(np.concatenate(folded_loops), "<i4"),
            plan.array(np.array([m for m, _ in scales], np.int64), "<i4"),
            plan.array(np.array([s for _, s in scales], np.int64), "i1"),
            plan.of_tensor[hidden.index], plan.of_tensor[cell.index], _clip(node, cell), bits, made.zero_point,
        )
    )  # fmt: skip
    plan.notes.append(
        f"{node.location}: its state lasts from one inference to the next, as in TensorFlow Lite. "
        "If windows do not continue each other, reset it before each of them"
    )


def _refuse_variants(plan: PlanBuilder, node: Node) -> None:
    for variant, positions in _VARIANTS:
        if any(plan.optional(node, position) is not None for position in positions):
            raise OperatorUnsupported(
                f"{node.location}: {variant} are not supported: use a plain LSTM, with four gates only"
            )
    if plan.optional(node, _WEIGHTS) is None:
        raise OperatorUnsupported(
            f"{node.location}: coupled input gates are not supported: use a plain LSTM, with four gates only"
        )


def _gates(plan: PlanBuilder, node: Node, first: int, shape: tuple[int, int]) -> list[tuple[Tensor, Ints]]:
    """Return the weights of the four gates, and their values."""
    found = [int8_weights(plan, node, first + gate) for gate in range(_GATES)]
    for _, weights in found:
        if weights.shape != shape:
            raise OperatorUnsupported(
                f"{node.location}: weights of {list(weights.shape)} instead of {list(shape)}: convert the model again"
            )
    return found


def _gate_scales(
    node: Node, scale: float, gates: list[tuple[Tensor, Ints]], folded: list[Ints]
) -> list[tuple[int, int]]:
    """Return multiplier and shift of each gate, whose sums become Q3 of 16 bits and are added to another one."""
    found = []
    for (tensor, weights), bias in zip(gates, folded, strict=True):
        largest = max(abs(end) for band in accumulator_bands(weights, bias, node) for end in band)
        real = _product(scale, tensor.scale, 2.0**-_GATE_FRACTION_BITS)
        found.append(scaled_multiplier(node, real, largest + _INT16_MAX + 1))
    return found


def _product(first: float, second: float, divisor: float) -> float:
    """Return a scale in the 32-bit floats of the oracle. `scaled_multiplier` refuses one that is beyond them."""
    with np.errstate(over="ignore"):
        return float(np.float32(first) * np.float32(second) / np.float32(divisor))


def _intermediate(node: Node) -> int:
    if len(node.intermediates) <= _HIDDEN_INTERMEDIATE:
        raise OperatorUnsupported(f"{node.location}: the scale of its hidden state is missing: convert the model again")
    return node.intermediates[_HIDDEN_INTERMEDIATE]


def _cell_bits(node: Node, cell: Tensor) -> int:
    """Return the integer bits of the cell, whose scale is a power of two."""
    fraction, exponent = math.frexp(cell.scale)
    bits = exponent - 1 + 15
    if fraction != 0.5 or not 0 <= bits <= _CELL_BITS_MAX:  # noqa: PLR2004 - a power of two
        raise OperatorUnsupported(
            f"{node.location}: the scale of the cell is {cell.scale}, not a power of two of 2^-15 to 2^-9: "
            "quantize the whole model to full int8 with TensorFlow Lite's converter"
        )
    return bits


def _clip(node: Node, cell: Tensor) -> int:
    """Return the largest magnitude of the cell, or 0 for none."""
    real = float(node.options.get("cellClip", 0.0))
    return int(min(np.float32(real) / np.float32(cell.scale), np.float32(_INT16_MAX))) if real > 0 else 0


def _state(plan: PlanBuilder, node: Node, position: int, kind: str) -> Tensor:
    """Return a tensor that the operator keeps."""
    tensor = plan.tensor(node, position)
    if tensor.index not in plan.graph.states or tensor.type != kind or (kind == "INT16" and tensor.zero_point != 0):
        raise OperatorUnsupported(
            f"{node.location}: input {position} must be a variable of {kind}, but is {tensor.type}: "
            "quantize the whole model to full int8"
        )
    return tensor
