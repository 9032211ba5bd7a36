# SPDX-License-Identifier: Apache-2.0
"""Collects a network's tensors, weights and operators, and gives every tensor its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, OperatorUnsupported
from reconciler.compiler.pack.operators import (
    Add,
    Lookup,
    Mul,
    Operator,
    Quantize,
)
from reconciler.compiler.pack.pack_format import pad4
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.tflite.arena import Layout, Life, lay_out, lower_bound
from reconciler.compiler.tflite.graph_reader import Graph, Node, Tensor

Dims = tuple[int, int, int, int]
_IN_PLACE = (Add, Mul, Quantize, Lookup)
_WIDEST = 65535


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the plan: a view on a buffer, or a constant."""

    dims: Dims
    scale: float
    zero_point: int
    buffer: int | None  # None: constant
    offset: int = 0  # in the weights, if constant

    @property
    def elements(self) -> int:
        """How many elements, and bytes, there are."""
        return math.prod(self.dims)


@dataclass(slots=True)
class NetworkPlan:
    """The state of one lowering."""

    graph: Graph
    values: list[Value] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    of_tensor: dict[int, int] = field(default_factory=dict)  # graph tensor: value
    buffers: list[int] = field(default_factory=list)  # sizes
    weights: bytearray = field(default_factory=bytearray)
    notes: list[str] = field(default_factory=list)
    _blobs: dict[bytes, int] = field(default_factory=dict)

    def tensor(self, node: Node, position: int) -> Tensor:
        """Return the graph's tensor that an operator reads at a position."""
        if position >= len(node.inputs) or node.inputs[position] < 0:
            raise OperatorUnsupported(f"{node.place}: input {position} is missing")
        return self.graph.tensors[node.inputs[position]]

    def optional(self, node: Node, position: int) -> Tensor | None:
        """As `tensor`, for inputs that may be left out."""
        absent = position >= len(node.inputs) or node.inputs[position] < 0
        return None if absent else self.graph.tensors[node.inputs[position]]

    def constant(self, node: Node, position: int) -> Tensor:
        """Return an input that must be constant."""
        tensor = self.tensor(node, position)
        if tensor.data is None:
            raise OperatorUnsupported(f"{node.place}: input {position} must be a constant")
        return tensor

    def value_of(self, index: int, node: Node | None = None) -> int:
        """Return the value of a graph's tensor; constants are put into the weights."""
        if index in self.of_tensor:
            return self.of_tensor[index]
        tensor = self.graph.tensors[index]
        dims, zero_point = self.dims_of(tensor, node), self.zero_point_of(tensor, node)
        if tensor.data is None:
            raise OperatorUnsupported(f"{node.place if node else 'the model'} reads tensor {index} that nothing makes")
        offset = self.blob(tensor.data)
        self.of_tensor[index] = self._append(Value(dims, tensor.scale, zero_point, None, offset))
        return self.of_tensor[index]

    def input(self, node: Node, position: int = 0) -> int:
        """Return the value that an operator reads."""
        return self.value_of(self.tensor(node, position).index, node)

    def make(self, index: int, node: Node | None = None) -> int:
        """Give a graph's tensor a buffer and a value of its own."""
        tensor = self.graph.tensors[index]
        dims = self.dims_of(tensor, node)
        self.buffers.append(math.prod(dims))
        value = Value(dims, tensor.scale, self.zero_point_of(tensor, node), len(self.buffers) - 1)
        self.of_tensor[index] = self._append(value)
        return self.of_tensor[index]

    def output(self, node: Node) -> int:
        """Make the value that an operator writes."""
        if len(node.outputs) != 1:
            raise OperatorUnsupported(f"{node.place} has {len(node.outputs)} outputs; packs know one")
        return self.make(node.outputs[0], node)

    def view(self, value: int, dims: Dims) -> int:
        """Return the same bytes under other dims."""
        old = self.values[value]
        if old.dims == dims:
            return value
        if math.prod(dims) != old.elements:
            raise OperatorUnsupported(f"{list(old.dims)} can't be seen as {list(dims)}")
        for number, other in enumerate(self.values):
            if other == replace(old, dims=dims):
                return number
        return self._append(replace(old, dims=dims))

    def alias(self, node: Node) -> None:
        """Make an operator's output another view of its input's bytes."""
        source = self.input(node)
        tensor = self.graph.tensors[node.outputs[0]]
        same = (tensor.scale, tensor.zero_point) == (self.values[source].scale, self.values[source].zero_point)
        if not same:
            raise OperatorUnsupported(f"{node.place} changes the scale; convert the model again")
        self.of_tensor[tensor.index] = self.view(source, self.dims_of(tensor, node))

    def emit(self, operator: Operator) -> None:
        """Append an operator."""
        self.operators.append(operator)

    def blob(self, data: bytes) -> int:
        """Put bytes into the weights, once, and return their offset."""
        if data not in self._blobs:
            self._blobs[data] = len(self.weights)
            self.weights += pad4(data)
        return self._blobs[data]

    def array(self, values: npt.NDArray[np.int64], code: str) -> int:
        """Put integers into the weights and return their offset."""
        limits = np.iinfo(np.dtype(code))
        if values.min() < limits.min or values.max() > limits.max:
            raise DoesNotFit(f"a value of {int(np.abs(values).max())} does not fit into {code}")
        return self.blob(values.astype(code).tobytes())

    def dims_of(self, tensor: Tensor, node: Node | None) -> Dims:
        """Bring a shape to four dims by leading ones."""
        if len(tensor.shape) > 4 or any(d > _WIDEST for d in tensor.shape):  # noqa: PLR2004 - N H W C
            raise OperatorUnsupported(
                f"{node.place if node else 'the model'}: shape {list(tensor.shape)} has too many dims"
            )
        filled = (1,) * (4 - len(tensor.shape)) + tensor.shape
        return (filled[0], filled[1], filled[2], filled[3])

    def zero_point_of(self, tensor: Tensor, node: Node | None) -> int:
        """Return an int8 tensor's zero point; any other type is not for packs."""
        if tensor.type != "INT8":
            where = node.place if node else "an input or output"
            raise OperatorUnsupported(
                f"{where}: tensor {tensor.index} ({tensor.name}) is {tensor.type}; packs compute in int8: "
                "quantize the whole model to full int8"
            )
        if not -128 <= tensor.zero_point <= 127:  # noqa: PLR2004 - int8
            raise OperatorUnsupported(f"tensor {tensor.index} has the zero point {tensor.zero_point}")
        return tensor.zero_point

    def _append(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def place(self, inputs: tuple[int, ...], outputs: tuple[int, ...], keep: frozenset[int]) -> PlacedTensors:
        """Share what may be shared, lay out the arena, and write the tensors' records."""
        owner = self._share(outputs, keep)
        lives = self._lives(owner, inputs, outputs, keep)
        slots = sorted(lives)
        layout = lay_out([lives[slot] for slot in slots])
        offsets = dict(zip(slots, layout.offsets, strict=True))
        records = [
            TensorRecord(v.offset, v.dims, v.zero_point, constant=True)
            if v.buffer is None
            else TensorRecord(offsets[owner[v.buffer]], v.dims, v.zero_point)
            for v in self.values
        ]
        return PlacedTensors(
            records, layout, [lives[slot] for slot in slots], lower_bound([lives[slot] for slot in slots])
        )

    def _uses(self) -> list[tuple[set[int], set[int]]]:
        """Return the buffers that each operator reads and writes."""
        found = []
        for operator in self.operators:
            reads = {self.values[i].buffer for i in operator.inputs()} - {None}
            writes = {self.values[operator.output].buffer} - {None}
            found.append(({b for b in reads if b is not None}, {b for b in writes if b is not None}))
        return found

    def _share(self, outputs: tuple[int, ...], keep: frozenset[int]) -> dict[int, int]:
        """Let elementwise operators write onto an input that nobody reads afterwards."""
        owner = {buffer: buffer for buffer in range(len(self.buffers))}
        last: dict[int, int] = {}
        for at, (reads, _) in enumerate(self._uses()):
            last.update(dict.fromkeys(reads, at))
        held = {self.values[i].buffer for i in (*outputs, *keep)}
        for at, operator in enumerate(self.operators):
            target = self.values[operator.output]
            if not isinstance(operator, _IN_PLACE) or target.buffer is None:
                continue
            for source in (self.values[i] for i in operator.inputs()):
                free = source.buffer is not None and source.buffer not in held and last.get(source.buffer) == at
                if free and source.buffer is not None and source.elements == target.elements:
                    owner[target.buffer] = owner[source.buffer]
                    break
        return owner

    def _lives(
        self, owner: dict[int, int], inputs: tuple[int, ...], outputs: tuple[int, ...], keep: frozenset[int]
    ) -> dict[int, Life]:
        spans: dict[int, Life] = {}

        def touch(buffer: int | None, at: int) -> None:
            if buffer is None:
                return
            slot = owner[buffer]
            old = spans.get(slot, Life(0, at, at))
            spans[slot] = Life(max(old.size, self.buffers[buffer]), min(old.first, at), max(old.last, at))

        for index in inputs:
            touch(self.values[index].buffer, -1)
        for at, (reads, writes) in enumerate(self._uses()):
            for buffer in sorted(reads | writes):
                touch(buffer, at)
        for index in (*outputs, *sorted(keep)):
            touch(self.values[index].buffer, len(self.operators))
        return spans


@dataclass(frozen=True, slots=True)
class PlacedTensors:
    """The outcome: records, the arena's layout, and how good that is."""

    records: list[TensorRecord]
    layout: Layout
    lives: list[Life]
    lower_bound: int
