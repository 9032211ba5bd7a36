# SPDX-License-Identifier: Apache-2.0
"""Lowering of operators that work on each element, or on a row of them."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.fixed_point import quantize_multiplier
from reconciler.compiler.pack.operators import Add, Lookup, Mul, Quantize, Softmax
from reconciler.compiler.tflite.graph_reader import Node
from reconciler.compiler.tflite.lower_layers import activation_range
from reconciler.compiler.tflite.memory_plan import NetworkPlan
from reconciler.compiler.tflite.oracle import tabulate

_RELU_KINDS = {
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU6": schema.ActivationFunctionType.RELU6,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}


def lower_add(planning: NetworkPlan, node: Node) -> None:
    """ADD, with broadcasting."""
    first, second, target = planning.input(node, 0), planning.input(node, 1), planning.output(node)
    x1, x2, y = (planning.values[i] for i in (first, second, target))
    twice = 2.0 * max(x1.scale, x2.scale)
    m1, s1 = quantize_multiplier(x1.scale / twice)
    m2, s2 = quantize_multiplier(x2.scale / twice)
    m_out, s_out = quantize_multiplier(twice / ((1 << 20) * y.scale))
    if max(s1, s2, s_out) > 0:
        raise OperatorUnsupported(f"{node.place}: the output's scale is far too small for its inputs")
    low, high = activation_range(int(node.options.get("fusedActivationFunction", 0)), y, node)
    planning.emit(Add(first, target, low, high, second, m1, m2, m_out, s1, s2, s_out))


def lower_mul(planning: NetworkPlan, node: Node) -> None:
    """MUL, with broadcasting."""
    first, second, target = planning.input(node, 0), planning.input(node, 1), planning.output(node)
    x1, x2, y = (planning.values[i] for i in (first, second, target))
    real = np.float32(x1.scale) * np.float32(x2.scale) / np.float32(y.scale)
    multiplier, shift = quantize_multiplier(float(real))
    low, high = activation_range(int(node.options.get("fusedActivationFunction", 0)), y, node)
    planning.emit(Mul(first, target, low, high, second, shift, multiplier))


def lower_quantize(planning: NetworkPlan, node: Node) -> None:
    """QUANTIZE from int8 to int8."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    multiplier, shift = quantize_multiplier(float(x.scale) / float(y.scale))
    planning.emit(Quantize(source, target, -128, 127, multiplier, shift))


def lower_relu(planning: NetworkPlan, node: Node) -> None:
    """RELU and its kin as operators of their own."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    multiplier, shift = quantize_multiplier(float(np.float32(x.scale) / np.float32(y.scale)))
    low, high = activation_range(_RELU_KINDS[node.name], y, node)
    planning.emit(Quantize(source, target, low, high, multiplier, shift))


def lower_lookup(planning: NetworkPlan, node: Node) -> None:
    """Any function of one int8: ask the oracle for all 256 values."""
    source, target = planning.input(node), planning.output(node)
    table = tabulate(node, planning.values[source], planning.values[target])
    planning.emit(Lookup(source, target, -128, 127, planning.blob(table)))


def lower_softmax(planning: NetworkPlan, node: Node) -> None:
    """SOFTMAX over the last dimension."""
    source, target = planning.input(node), planning.output(node)
    x, y = planning.values[source], planning.values[target]
    if y.zero_point != -128 or y.scale != 1.0 / 256:  # noqa: PLR2004 - what the oracle demands
        raise OperatorUnsupported(f"{node.place}: the output must have scale 1/256 and zero point -128")
    real = min(float(node.options.get("beta", 1.0)) * float(x.scale) * (1 << 26), float((1 << 31) - 1))
    multiplier, shift = quantize_multiplier(real)
    if shift < 0:
        raise OperatorUnsupported(f"{node.place}: the input's scale {x.scale} is too small")
    radius = math.floor(31.0 * (1 << 26) / (1 << shift))
    planning.emit(Softmax(source, target, -128, 127, multiplier, shift, max(-255, -radius)))
