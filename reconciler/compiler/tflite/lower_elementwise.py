# SPDX-License-Identifier: Apache-2.0
"""Lowers the operators that work on single elements or rows."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.fixed_point import quantize_multiplier
from reconciler.compiler.pack.operators import Add, Lookup, Mul, Quantize, Softmax
from reconciler.compiler.tflite.graph_reader import Node
from reconciler.compiler.tflite.lower_layers import activation_range, scaled_multiplier
from reconciler.compiler.tflite.oracle import tabulate
from reconciler.compiler.tflite.plan_builder import PlanBuilder

_RELU_KINDS = {
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU6": schema.ActivationFunctionType.RELU6,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}


def lower_add(plan: PlanBuilder, node: Node) -> None:
    """ADD, with broadcasting."""
    first, second, target = plan.input(node, 0), plan.input(node, 1), plan.output(node)
    x1, x2, y = (plan.values[i] for i in (first, second, target))
    with np.errstate(over="ignore"):  # the oracle computes these as float32
        twice, shifted = (
            float(np.float32(2) * np.float32(max(x1.scale, x2.scale))),
            float(np.float32(1 << 20) * np.float32(y.scale)),
        )
    if math.isinf(twice) or math.isinf(shifted):
        raise OperatorUnsupported(f"{node.location}: the scales {x1.scale}, {x2.scale} and {y.scale} are too large")
    m1, s1 = quantize_multiplier(x1.scale / twice)
    m2, s2 = quantize_multiplier(x2.scale / twice)
    m_out, s_out = quantize_multiplier(twice / shifted)
    if max(s1, s2, s_out) > 0:
        raise OperatorUnsupported(f"{node.location}: the scale of the output is too small for that of its inputs")
    low, high = activation_range(int(node.options.get("fusedActivationFunction", 0)), y, node)
    plan.emit(Add(first, target, low, high, second, m1, m2, m_out, s1, s2, s_out))


def lower_mul(plan: PlanBuilder, node: Node) -> None:
    """MUL, with broadcasting."""
    first, second, target = plan.input(node, 0), plan.input(node, 1), plan.output(node)
    x1, x2, y = (plan.values[i] for i in (first, second, target))
    with np.errstate(over="ignore"):
        real = float(np.float32(x1.scale) * np.float32(x2.scale) / np.float32(y.scale))
    multiplier, shift = scaled_multiplier(node, real, x1.reach * x2.reach)
    low, high = activation_range(int(node.options.get("fusedActivationFunction", 0)), y, node)
    plan.emit(Mul(first, target, low, high, second, shift, multiplier))


def lower_quantize(plan: PlanBuilder, node: Node) -> None:
    """QUANTIZE from int8 to int8."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    multiplier, shift = scaled_multiplier(node, float(x.scale) / float(y.scale), x.reach)
    plan.emit(Quantize(source, target, -128, 127, multiplier, shift))


def lower_relu(plan: PlanBuilder, node: Node) -> None:
    """RELU and its variants, if they are not fused into another operator."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    with np.errstate(over="ignore"):
        real = float(np.float32(x.scale) / np.float32(y.scale))
    multiplier, shift = scaled_multiplier(node, real, x.reach)
    low, high = activation_range(_RELU_KINDS[node.name], y, node)
    plan.emit(Quantize(source, target, low, high, multiplier, shift))


def lower_lookup(plan: PlanBuilder, node: Node) -> None:
    """Any function of one int8: ask the oracle for all 256 values."""
    source, target = plan.input(node), plan.output(node)
    table = tabulate(node, plan.values[source], plan.values[target])
    plan.emit(Lookup(source, target, -128, 127, plan.blob(table)))


def lower_softmax(plan: PlanBuilder, node: Node) -> None:
    """SOFTMAX over the last dimension."""
    source, target = plan.input(node), plan.output(node)
    x, y = plan.values[source], plan.values[target]
    if y.zero_point != -128 or y.scale != 1.0 / 256:  # noqa: PLR2004 - what the oracle demands
        raise OperatorUnsupported(
            f"{node.location}: the output must have the scale 1/256 and the zero point -128: convert the model again"
        )
    real = min(float(node.options.get("beta", 1.0)) * float(x.scale) * (1 << 26), float((1 << 31) - 1))
    multiplier, shift = quantize_multiplier(real)
    if shift < 0:
        raise OperatorUnsupported(f"{node.location}: the scale {x.scale} of the input is too small")
    radius = math.floor(31.0 * (1 << 26) / (1 << shift))
    plan.emit(Softmax(source, target, -128, 127, multiplier, shift, max(-255, -radius)))
