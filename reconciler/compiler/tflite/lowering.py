# SPDX-License-Identifier: Apache-2.0
"""Lowers the graph of a `.tflite` file to the operators of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Graph, Node, check_order
from reconciler.compiler.tflite.graph_rewrites import keep_needed, permutation, rewrite
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
from reconciler.compiler.tflite.lower_recurrent import lower_lstm, lower_svdf
from reconciler.compiler.tflite.lower_slices import lower_slice, lower_split, lower_strided_slice
from reconciler.compiler.tflite.lower_variables import (
    add_states,
    lower_assign_variable,
    lower_in_window,
    lower_read_variable,
    slide_windows,
)
from reconciler.compiler.tflite.model_interface import ElementOrder, with_device_interface
from reconciler.compiler.tflite.plan_builder import PlanBuilder
from reconciler.compiler.tflite.sliding_windows import sliding_windows
from reconciler.compiler.tflite.unsupported_operators import ADVICE, refuse_unsupported
from reconciler.compiler.tflite.variables import resolve_variables

Lower = Callable[[PlanBuilder, Node], None]


def _lower_reshape(plan: PlanBuilder, node: Node) -> None:
    plan.alias(node)


def _lower_transpose(plan: PlanBuilder, node: Node) -> None:
    """TRANSPOSE, if it moves only dimensions of one element."""
    order = permutation(plan.graph, node)
    shape = plan.tensor(node, 0).shape
    moved = [axis for axis in order or () if shape[axis] > 1]
    if order is None or moved != sorted(moved):
        raise OperatorUnsupported(
            f"{node.location} is not supported, as it neither follows an input nor precedes a dense layer: "
            f"{ADVICE[node.name]}"
        )
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
    "TRANSPOSE": _lower_transpose,
    "STRIDED_SLICE": lower_strided_slice,
    "SLICE": lower_slice,
    "SPLIT": lower_split,
    "SPLIT_V": lower_split,
    "READ_VARIABLE": lower_read_variable,
    "ASSIGN_VARIABLE": lower_assign_variable,
    "SVDF": lower_svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lower_lstm,
}


@dataclass(frozen=True, slots=True)
class LoweredNetwork:
    """A plan with all operators, the values of the inputs and outputs, and the order of each input's elements.

    `operator_ends` has, for each node of the plan's graph, the number of operators up to its end.
    """

    plan: PlanBuilder
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_orders: tuple[ElementOrder | None, ...]
    operator_ends: tuple[int, ...] = ()


def lower(original: Graph) -> LoweredNetwork:
    """Lower a graph."""
    try:
        device = with_device_interface(keep_needed(resolve_variables(original)))
        refuse_unsupported(device.graph, LOWERINGS)
        check_order(original)
        graph = rewrite(device.graph)
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError) as error:
        raise ModelUnreadable(f"the model is inconsistent: {error}") from error
    plan = PlanBuilder(graph, notes=list(device.notes), windows=sliding_windows(graph))
    add_states(plan)
    inputs = tuple(plan.make(index) for index in graph.inputs)
    ends = []
    for node in graph.nodes:
        try:
            if not lower_in_window(plan, node):
                LOWERINGS[node.name](plan, node)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise ModelUnreadable(f"{node.location} is inconsistent: {error}") from error
        ends.append(len(plan.operators))
    slide_windows(plan)
    outputs = tuple(plan.value_of(index) for index in graph.outputs)
    _check_interface(plan, inputs, outputs)
    return LoweredNetwork(plan, inputs, outputs, device.input_orders, tuple(ends))


def _check_interface(plan: PlanBuilder, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    if not inputs or not outputs or not plan.operators:
        raise OperatorUnsupported("the model has no inputs, no outputs, or no operators")
    for index in outputs:
        if plan.values[index].buffer is None:
            raise OperatorUnsupported("an output of the model is a constant")
