# SPDX-License-Identifier: Apache-2.0
"""Collects the values, weights and operators of a plan while a graph is lowered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, OperatorUnsupported
from reconciler.compiler.pack.operators import Operator
from reconciler.compiler.pack.pack_format import pad4
from reconciler.compiler.tflite.graph_reader import Graph, Node, Tensor
from reconciler.compiler.tflite.sliding_windows import SlidingWindow

Dims = tuple[int, int, int, int]
_MAX_DIM = 65535


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the plan: a view of a buffer in the arena, or a constant in the weights."""

    dims: Dims
    scale: float
    zero_point: int
    buffer: int | None  # None: constant
    offset: int = 0  # in the buffer, or in the weights if constant

    @property
    def elements(self) -> int:
        """The number of elements, which is also the number of bytes."""
        return math.prod(self.dims)

    @property
    def reach(self) -> int:
        """The largest magnitude of an element without its zero point."""
        return max(127 - self.zero_point, self.zero_point + 128)


@dataclass(slots=True)
class PlanBuilder:
    """A plan under construction."""

    graph: Graph
    values: list[Value] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    of_tensor: dict[int, int] = field(default_factory=dict)  # from tensors of the graph to values
    buffers: list[int] = field(default_factory=list)  # their sizes
    placed: dict[int, tuple[int, int]] = field(default_factory=dict)  # from tensors to a buffer and an offset in it
    windows: Sequence[SlidingWindow] = ()
    states: dict[int, int] = field(default_factory=dict)  # from values that last to the initial value of each element
    weights: bytearray = field(default_factory=bytearray)
    notes: list[str] = field(default_factory=list)
    _blobs: dict[bytes, int] = field(default_factory=dict)

    def tensor(self, node: Node, position: int) -> Tensor:
        """Return the tensor that an operator reads at a position."""
        if position >= len(node.inputs) or node.inputs[position] < 0:
            raise OperatorUnsupported(f"{node.location}: input {position} is missing")
        return self.graph.tensors[node.inputs[position]]

    def optional(self, node: Node, position: int) -> Tensor | None:
        """Return the tensor that an operator reads at a position, or None if it is omitted."""
        absent = position >= len(node.inputs) or node.inputs[position] < 0
        return None if absent else self.graph.tensors[node.inputs[position]]

    def constant(self, node: Node, position: int) -> Tensor:
        """Return the tensor at a position, which must be a constant."""
        tensor = self.tensor(node, position)
        if tensor.data is None:
            raise OperatorUnsupported(f"{node.location}: input {position} must be a constant")
        return tensor

    def value_of(self, index: int, node: Node | None = None) -> int:
        """Return the value of a tensor; a constant is added to the weights."""
        if index in self.of_tensor:
            return self.of_tensor[index]
        tensor = self.graph.tensors[index]
        dims, zero_point = self.dims_of(tensor, node), self.zero_point_of(tensor, node)
        if tensor.data is None:
            raise OperatorUnsupported(
                f"{node.location if node else 'the model'} reads tensor {index}, which no operator writes"
            )
        offset = self.blob(tensor.data)
        self.of_tensor[index] = self._append(Value(dims, tensor.scale, zero_point, None, offset))
        return self.of_tensor[index]

    def input(self, node: Node, position: int = 0) -> int:
        """Return the value that an operator reads."""
        return self.value_of(self.tensor(node, position).index, node)

    def make(self, index: int, node: Node | None = None) -> int:
        """Add a buffer and a value for a tensor."""
        tensor = self.graph.tensors[index]
        dims = self.dims_of(tensor, node)
        buffer, offset = self.placed.get(index) or (self.add_buffer(math.prod(dims)), 0)
        self.of_tensor[index] = self.add(Value(dims, tensor.scale, self.zero_point_of(tensor, node), buffer, offset))
        return self.of_tensor[index]

    def make_state(self, index: int) -> int:
        """Add a buffer and a value for a tensor that lasts; one of 16 bits is one of twice as many bytes."""
        tensor = self.graph.tensors[index]
        if tensor.type != "INT16":
            return self.make(index)
        dims = self.dims_of(replace(tensor, shape=(tensor.elements, 2)), None)
        self.of_tensor[index] = self.add(Value(dims, 1.0, 0, self.add_buffer(math.prod(dims))))
        return self.of_tensor[index]

    def add_buffer(self, size: int) -> int:
        """Add a buffer."""
        self.buffers.append(size)
        return len(self.buffers) - 1

    def add(self, value: Value) -> int:
        """Return the number of a value, which is added unless there is an equal one."""
        if value in self.values:
            return self.values.index(value)
        return self._append(value)

    def output(self, node: Node) -> int:
        """Add the value that an operator writes."""
        if len(node.outputs) != 1:
            raise OperatorUnsupported(
                f"{node.location} has {len(node.outputs)} outputs; only operators with one are supported"
            )
        return self.make(node.outputs[0], node)

    def view(self, value: int, dims: Dims) -> int:
        """Return a value with the same bytes and other dimensions."""
        old = self.values[value]
        if old.dims == dims:
            return value
        if math.prod(dims) != old.elements:
            raise OperatorUnsupported(f"a tensor of shape {list(old.dims)} cannot be reshaped to {list(dims)}")
        return self.add(replace(old, dims=dims))

    def alias(self, node: Node) -> None:
        """Make the output of an operator a view of its input."""
        source = self.input(node)
        tensor = self.graph.tensors[node.outputs[0]]
        same = (tensor.scale, tensor.zero_point) == (self.values[source].scale, self.values[source].zero_point)
        if not same:
            raise OperatorUnsupported(f"{node.location} changes the scale: convert the model again")
        self.of_tensor[tensor.index] = self.view(source, self.dims_of(tensor, node))

    def emit(self, operator: Operator) -> None:
        """Append an operator."""
        self.operators.append(operator)

    def blob(self, data: bytes) -> int:
        """Add bytes to the weights unless they are there, and return their offset."""
        if data not in self._blobs:
            self._blobs[data] = len(self.weights)
            self.weights += pad4(data)
        return self._blobs[data]

    def array(self, values: npt.NDArray[np.int64], code: str) -> int:
        """Add integers to the weights and return their offset."""
        limits = np.iinfo(np.dtype(code))
        if values.min() < limits.min or values.max() > limits.max:
            raise DoesNotFit(f"a value of {int(np.abs(values).max())} does not fit the type {code}")
        return self.blob(values.astype(code).tobytes())

    def dims_of(self, tensor: Tensor, node: Node | None) -> Dims:
        """Return a shape as four dimensions, with leading ones."""
        if len(tensor.shape) > 4 or any(not 1 <= d <= _MAX_DIM for d in tensor.shape):  # noqa: PLR2004 - N H W C
            raise OperatorUnsupported(
                f"{node.location if node else 'the model'}: a tensor has the shape {list(tensor.shape)}, but those of "
                f"packs have at most four dimensions of 1 to {_MAX_DIM}: reshape to fewer, and leave out layers such "
                "as UpSampling2D, which add dimensions"
            )
        filled = (1,) * (4 - len(tensor.shape)) + tensor.shape
        return (filled[0], filled[1], filled[2], filled[3])

    def zero_point_of(self, tensor: Tensor, node: Node | None) -> int:
        """Return the zero point of a tensor, which must be int8."""
        if tensor.type != "INT8":
            where = node.location if node else "an input or output"
            raise OperatorUnsupported(
                f"{where}: tensor {tensor.index} ({tensor.name}) is {tensor.type}, but packs compute in int8: "
                "quantize the whole model to full int8"
            )
        if not -128 <= tensor.zero_point <= 127:  # noqa: PLR2004 - int8
            raise OperatorUnsupported(
                f"tensor {tensor.index} has the zero point {tensor.zero_point}, which is not an int8"
            )
        return tensor.zero_point

    def _append(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1
