# SPDX-License-Identifier: Apache-2.0
"""Takes conversions off the ends of a graph: the device computes in int8, with channels last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reconciler.compiler.tflite.graph_reader import Graph, Node
from reconciler.compiler.tflite.graph_rewrites import element_order, permutation

ElementOrder = tuple[int, ...]
Elements = TypeVar("Elements", bound=np.generic)


def in_device_order(values: npt.NDArray[Elements], order: ElementOrder | None) -> npt.NDArray[Elements]:
    """Return the elements of an input as the device takes them."""
    flat = values.reshape(-1)
    return flat if order is None else flat[list(order)]


def in_file_order(values: npt.NDArray[Elements], order: ElementOrder | None) -> npt.NDArray[Elements]:
    """Return the elements of an input of the device as the model's file takes them."""
    if order is None:
        return values
    restored = np.empty_like(values)
    restored[list(order)] = values
    return restored


@dataclass(frozen=True, slots=True)
class DeviceGraph:
    """A graph with the inputs and outputs of the device.

    `input_orders` has, for each input whose elements the device takes in another order than the file, the place in
    the file's input of each element.
    """

    graph: Graph
    input_orders: tuple[ElementOrder | None, ...]
    notes: tuple[str, ...]


def with_device_interface(graph: Graph) -> DeviceGraph:
    """Remove conversions from float or uint8 at the inputs and back at the outputs, and transpositions of inputs."""
    notes: list[str] = []
    inputs, orders = [], []
    for number, index in enumerate(graph.inputs):
        graph, source, order = _trim_input(graph, number, index, notes)
        inputs.append(source)
        orders.append(order)
    outputs = []
    for number, index in enumerate(graph.outputs):
        graph, sink = _trim_output(graph, number, index, notes)
        outputs.append(sink)
    return DeviceGraph(replace(graph, inputs=tuple(inputs), outputs=tuple(outputs)), tuple(orders), tuple(notes))


def _trim_input(graph: Graph, number: int, index: int, notes: list[str]) -> tuple[Graph, int, ElementOrder | None]:
    order = None
    while (reader := _only_reader(graph, index)) is not None:
        tensor = graph.tensors[index]
        axes = permutation(graph, reader)
        if reader.name == "QUANTIZE" and tensor.type != "INT8":
            notes.append(f"input {number} is int8 on the device; the gateway converts from {tensor.type}")
        elif axes is not None and order is None:
            order = element_order(tensor.shape, axes)
            shape = list(graph.tensors[reader.outputs[0]].shape)
            notes.append(f"input {number} has the shape {shape} on the device, and {list(tensor.shape)} in the model")
        else:
            break
        graph, index = _without(graph, reader), reader.outputs[0]
    return graph, index, order


def _trim_output(graph: Graph, number: int, index: int, notes: list[str]) -> tuple[Graph, int]:
    writer = next((node for node in graph.nodes if index in node.outputs), None)
    if graph.tensors[index].type == "INT8" or writer is None or writer.name not in {"DEQUANTIZE", "QUANTIZE"}:
        return graph, index
    notes.append(f"output {number} is int8 on the device")
    return _without(graph, writer), writer.inputs[0]


def _only_reader(graph: Graph, index: int) -> Node | None:
    readers = [node for node in graph.nodes if index in node.inputs]
    return readers[0] if len(readers) == 1 and index not in graph.outputs else None


def _without(graph: Graph, gone: Node) -> Graph:
    return replace(graph, nodes=tuple(node for node in graph.nodes if node.index != gone.index))
