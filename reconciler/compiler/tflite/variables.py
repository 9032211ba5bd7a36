# SPDX-License-Identifier: Apache-2.0
"""Resolves the variables of a graph to tensors that keep their values from one inference to the next.

TensorFlow Lite reaches a variable through a handle, and sets it in a graph of its own that runs once. After
`resolve_variables`, a READ_VARIABLE reads the tensor of its variable, an ASSIGN_VARIABLE writes it, and the graph
names these tensors, with the initial value of their elements. So it does with those that operators keep themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Graph, Node, Tensor

VariableName = tuple[str, str]  # container and shared name
_GONE = frozenset({"VAR_HANDLE", "CALL_ONCE"})


def resolve_variables(graph: Graph) -> Graph:
    """Return the graph without handles; a graph without variables stays as it is."""
    kept = _kept_by_operators(graph)
    handles = _handles(graph)
    if not handles:
        return replace(graph, states=kept)
    initial = _initial_values(graph.initializer)
    tensors = list(graph.tensors)
    states = dict(kept)
    found: dict[VariableName, int] = {}
    nodes = []
    for node in graph.nodes:
        if node.name in _GONE:
            continue
        if node.name not in {"READ_VARIABLE", "ASSIGN_VARIABLE"}:
            nodes.append(node)
            continue
        name = handles.get(node.inputs[0])
        if name is None:
            raise ModelUnreadable(f"{node.location} reads a handle that no VAR_HANDLE makes")
        reads = node.name == "READ_VARIABLE"
        value = tensors[node.outputs[0] if reads else node.inputs[1]]
        if name not in found:
            found[name] = len(tensors)
            states[len(tensors)] = _initial_value(node, name, value, initial.get(name))
            tensors.append(replace(value, index=len(tensors), name=name[1], data=None))
        _check_same(node, tensors[found[name]], value)
        state = (found[name],)
        nodes.append(replace(node, inputs=state if reads else (value.index,), outputs=node.outputs if reads else state))
    subgraphs = graph.subgraphs if graph.initializer is None else graph.subgraphs - 1
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes), states=states, subgraphs=subgraphs)


def _kept_by_operators(graph: Graph) -> dict[int, int]:
    """Return the tensors that operators such as LSTM keep. The interpreter sets them to zero, in quantized form."""
    read = {index for node in graph.nodes for index in node.inputs if index >= 0}
    variables = [graph.tensors[index] for index in sorted(read) if graph.tensors[index].is_variable]
    return {t.index: t.zero_point if t.type == "INT8" else 0 for t in variables if t.data is None}


def _handles(graph: Graph) -> dict[int, VariableName]:
    """Return the variable of each tensor that is a handle."""
    names = {}
    for node in graph.nodes:
        if node.name == "VAR_HANDLE":
            container, shared = (node.options.get(field) or b"" for field in ("container", "sharedName"))
            names[node.outputs[0]] = (container.decode("utf-8", "replace"), shared.decode("utf-8", "replace"))
    return names


def _initial_values(initializer: Graph | None) -> Mapping[VariableName, Tensor]:
    if initializer is None:
        return {}
    handles = _handles(initializer)
    values = {}
    for node in initializer.nodes:
        if node.name == "VAR_HANDLE":
            continue
        value = initializer.tensors[node.inputs[1]] if node.name == "ASSIGN_VARIABLE" else None
        if value is None or value.data is None or node.inputs[0] not in handles:
            raise OperatorUnsupported(
                f"the initializer of the model: {node.location} is not supported: "
                "give each variable a constant as its initial value"
            )
        values[handles[node.inputs[0]]] = value
    return values


def _initial_value(node: Node, name: VariableName, value: Tensor, initial: Tensor | None) -> int:
    """Return the initial value of all elements of a variable. Other types than int8 are left to the lowering."""
    if initial is None or initial.data is None:
        raise OperatorUnsupported(
            f"{node.location}: the variable {name[1]!r} has no initial values: "
            "convert the model again, with an initializer for its variables"
        )
    if (initial.type, initial.elements) != (value.type, value.elements):
        raise OperatorUnsupported(
            f"{node.location}: the variable {name[1]!r} has {initial.elements} initial values of type {initial.type}, "
            f"but is used as {value.elements} of type {value.type}: convert the model again"
        )
    if len(set(initial.data)) > 1 and initial.type == "INT8":
        raise OperatorUnsupported(
            f"{node.location}: the elements of the variable {name[1]!r} start from different values: "
            "let all of them start from the same one"
        )
    return int(np.frombuffer(initial.data, np.int8)[0])


def _check_same(node: Node, state: Tensor, value: Tensor) -> None:
    one, other = ((t.type, t.elements, t.scales, t.zero_points) for t in (state, value))
    if one != other:
        raise OperatorUnsupported(
            f"{node.location}: the variable {state.name!r} is used with several types, sizes or scales: "
            "convert the model again"
        )
