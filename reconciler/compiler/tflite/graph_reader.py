# SPDX-License-Identifier: Apache-2.0
"""Reads a `.tflite` file into a graph of tensors and operators. The file is not trusted.

The Python accessors of flatbuffers check no lengths, so every vector is bounded before it is read, and any
exception that damaged offsets cause becomes one clear error.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import ModelUnreadable

MAX_TENSORS = 4096
MAX_OPERATORS = 4096
MAX_TENSOR_ELEMENTS = 1 << 24
MAX_FILE_BYTES = 64 << 20
_SIZES = {
    schema.TensorType.FLOAT32: 4,
    schema.TensorType.INT32: 4,
    schema.TensorType.INT8: 1,
    schema.TensorType.INT16: 2,
    schema.TensorType.INT64: 8,
    schema.TensorType.UINT8: 1,
    schema.TensorType.BOOL: 1,
    schema.TensorType.FLOAT16: 2,
    schema.TensorType.BFLOAT16: 2,
    schema.TensorType.FLOAT64: 8,
    schema.TensorType.UINT16: 2,
    schema.TensorType.UINT32: 4,
    schema.TensorType.UINT64: 8,
}
_TYPE_NAMES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPTION_TABLES = {
    getattr(schema.BuiltinOptions, name): name
    for name in (
        "Conv2DOptions",
        "DepthwiseConv2DOptions",
        "Pool2DOptions",
        "FullyConnectedOptions",
        "AddOptions",
        "MulOptions",
        "SoftmaxOptions",
        "ConcatenationOptions",
        "LeakyReluOptions",
        "GeluOptions",
        "StridedSliceOptions",
        "VarHandleOptions",
        "CallOnceOptions",
        "SVDFOptions",
        "UnidirectionalSequenceLSTMOptions",
    )
}
Border = tuple[tuple[int, int], tuple[int, int]]  # rows before and after, columns before and after
NO_BORDER: Border = ((0, 0), (0, 0))
LEAST_SCALE = 2.0**-126  # smaller floats are subnormal, which the interpreter may take for 0
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def is_scale(value: float) -> bool:
    """Return whether the interpreter can divide by a scale."""
    return LEAST_SCALE <= value < math.inf


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor; it is a constant if it has data."""

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    data: bytes | None
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    is_variable: bool = False  # an operator keeps it from one inference to the next

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """The scale, of which there must be one."""
        if len(self.scales) != 1 or not is_scale(self.scales[0]):
            found = self.scales[:2] or "none"
            raise ModelUnreadable(f"tensor {self.index} ({self.name}) is not quantized with a single scale: {found}")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point, of which there must be one."""
        if len(self.zero_points) != 1:
            raise ModelUnreadable(
                f"tensor {self.index} ({self.name}) has {len(self.zero_points)} zero points instead of one"
            )
        return self.zero_points[0]

    def ints(self) -> list[int]:
        """Return the values of a constant as integers."""
        codes = {"INT32": "<i4", "INT64": "<i8", "INT8": "<i1"}
        if self.data is None or self.type not in codes:
            raise ModelUnreadable(f"tensor {self.index} ({self.name}) must be a constant of integers")
        return [int(v) for v in np.frombuffer(self.data, codes[self.type])]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator of the graph."""

    index: int
    name: str
    layer: str  # the name of its output, which converters take from the layer; may be empty
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: str  # the name of its table of options, if this module knows it
    options: Mapping[str, Any]
    intermediates: tuple[int, ...] = ()  # tensors whose quantization describes values inside of the operator
    border: Border = NO_BORDER  # of zero points around the input, from a PAD that was folded into the operator

    @property
    def location(self) -> str:
        """Where the operator is, for messages."""
        return f"operator {self.index} ({self.name}{f', layer {self.layer!r}' if self.layer else ''})"

    def option(self, name: str) -> int:
        """Return a field of the options."""
        if name not in self.options:
            raise ModelUnreadable(f"{self.location} lacks the option {name}")
        return int(self.options[name])


@dataclass(frozen=True, slots=True)
class Graph:
    """The main graph of a model, and how many graphs the model has.

    `initializer` is the graph that runs once before the first inference. `states` has the tensors that keep their
    values between inferences, with the initial value of their elements (`resolve_variables` fills it).
    """

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int = 1
    initializer: Graph | None = None
    states: Mapping[int, int] = field(default_factory=dict)


def read_graph(data: bytes) -> Graph:
    """Read the graph of a model."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelUnreadable(f"the model has {len(data)} bytes; the limit is {MAX_FILE_BYTES}")
    if len(data) < 16 or data[4:8] != b"TFL3":  # noqa: PLR2004 - root offset, identifier, one table
        raise ModelUnreadable("the file is not a TensorFlow Lite model: it lacks the identifier TFL3")
    try:
        return _Reader(data).graph()
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError) as error:
        raise ModelUnreadable(f"the flatbuffer is damaged: {error}") from error


class _Reader:
    """Reads one flatbuffer within fixed bounds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._model = schema.Model.GetRootAs(data, 0)

    def graph(self) -> Graph:
        count = self._model.SubgraphsLength()
        if count < 1:
            raise ModelUnreadable("the model has no subgraph")
        main = replace(self._subgraph(0), subgraphs=count)
        starts = {int(node.options.get("initSubgraphIndex", 0)) for node in main.nodes if node.name == "CALL_ONCE"}
        return replace(main, initializer=self._subgraph(1)) if starts == {1} and count == 2 else main  # noqa: PLR2004 - both

    def _subgraph(self, number: int) -> Graph:
        model = self._model
        main = model.Subgraphs(number)
        self._bound("tensors", main.TensorsLength(), MAX_TENSORS)
        self._bound("operators", main.OperatorsLength(), MAX_OPERATORS)
        self._bound("operator codes", model.OperatorCodesLength(), MAX_OPERATORS)
        self._bound("inputs", main.InputsLength(), 4)
        self._bound("outputs", main.OutputsLength(), 4)
        tensors = tuple(self._tensor(main.Tensors(i), i) for i in range(main.TensorsLength()))
        nodes = tuple(self._node(main.Operators(i), i, tensors) for i in range(main.OperatorsLength()))
        graph = Graph(
            tensors,
            nodes,
            tuple(main.Inputs(i) for i in range(main.InputsLength())),
            tuple(main.Outputs(i) for i in range(main.OutputsLength())),
        )
        _check_references(graph)
        return graph

    def _bound(self, what: str, count: int, limit: int) -> None:
        if not 0 <= count <= limit:
            raise ModelUnreadable(f"the model declares {count} {what}; the limit is {limit}")

    def _vector(self, what: str, length: int, get: Callable[[int], Any], limit: int) -> list[Any]:
        self._bound(what, length, limit)
        return [get(i) for i in range(length)]

    def _tensor(self, table: Any, index: int) -> Tensor:  # noqa: ANN401 - generated accessor without types
        raw_name = table.Name()
        name = (raw_name or b"").decode("utf-8", "replace")[:120]
        kind = _TYPE_NAMES.get(table.Type(), str(table.Type()))
        shape = tuple(self._vector("dimensions", table.ShapeLength(), table.Shape, 8))
        size = math.prod(shape)
        if any(d < 0 for d in shape) or size > MAX_TENSOR_ELEMENTS:
            raise ModelUnreadable(f"tensor {index} ({name}) has the shape {list(shape)}, which is out of range")
        width = _SIZES.get(table.Type())
        data = self._constant(table, index, None if width is None else size * width)
        scales: list[float] = []
        zero_points: list[int] = []
        axis = 0
        quantization = table.Quantization()
        if quantization is not None:
            scales = self._vector("scales", quantization.ScaleLength(), quantization.Scale, 65535)
            zero_points = self._vector("zero points", quantization.ZeroPointLength(), quantization.ZeroPoint, 65535)
            axis = quantization.QuantizedDimension()
        return Tensor(index, name, shape, kind, data, tuple(scales), tuple(zero_points), axis, bool(table.IsVariable()))

    def _constant(self, table: Any, index: int, expected: int | None) -> bytes | None:  # noqa: ANN401 - as above
        number = table.Buffer()
        if not 0 <= number < self._model.BuffersLength():
            raise ModelUnreadable(f"tensor {index} names buffer {number}, which does not exist")
        buffer = self._model.Buffers(number)
        if buffer is None or buffer.DataLength() == 0:
            return None
        if table.Sparsity() is not None:
            raise ModelUnreadable(
                f"tensor {index} is sparse, but packs hold dense weights: convert the model without sparsity"
            )
        if expected is None:
            return b""  # of a type that no pack holds, which the lowering refuses
        if buffer.DataLength() != expected:
            raise ModelUnreadable(
                f"tensor {index} has {buffer.DataLength()} bytes of data; its shape requires {expected}"
            )
        content = buffer.DataAsNumpy().tobytes()
        if len(content) != expected:
            raise ModelUnreadable(f"the data of tensor {index} is outside of the file")
        return bytes(content)

    def _node(self, table: Any, index: int, tensors: tuple[Tensor, ...]) -> Node:  # noqa: ANN401 - as above
        number = table.OpcodeIndex()
        if not 0 <= number < self._model.OperatorCodesLength():
            raise ModelUnreadable(f"operator {index} names operator code {number}, which does not exist")
        code = self._model.OperatorCodes(number)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(builtin, str(builtin))
        if name == "CUSTOM":
            name = f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')[:60]}"
        inputs = tuple(self._vector("operator inputs", table.InputsLength(), table.Inputs, 64))
        outputs = tuple(self._vector("operator outputs", table.OutputsLength(), table.Outputs, 64))
        layer = tensors[outputs[0]].name if outputs and 0 <= outputs[0] < len(tensors) else ""
        inside = tuple(self._vector("intermediates", table.IntermediatesLength(), table.Intermediates, 64))
        return Node(index, name, layer, inputs, outputs, *_options(table), inside)


def _options(table: Any) -> tuple[str, Mapping[str, Any]]:  # noqa: ANN401 - one of many generated classes
    """Read the options now, while exceptions mean damage; skip tables that no lowering uses."""
    kind = table.BuiltinOptionsType()
    union = table.BuiltinOptions()
    name = _OPTION_TABLES.get(kind, "")
    if union is None or not name:
        return "", {}
    options = getattr(schema, name)()
    options.Init(union.Bytes, union.Pos)
    return name, vars(getattr(schema, f"{name}T").InitFromObj(options))


def _check_references(graph: Graph) -> None:
    """Check that every tensor that is named exists."""
    count = len(graph.tensors)
    for index in (*graph.inputs, *graph.outputs):
        if not 0 <= index < count:
            raise ModelUnreadable(f"the model names tensor {index}, which does not exist")
    for node in graph.nodes:
        for index in node.inputs:
            if index != -1 and not 0 <= index < count:
                raise ModelUnreadable(f"{node.location} reads tensor {index}, which does not exist")
        for index in (*node.outputs, *node.intermediates):
            if not 0 <= index < count:
                raise ModelUnreadable(f"{node.location} writes tensor {index}, which does not exist")


def check_order(graph: Graph) -> None:
    """Check that each tensor is written once, before it is read, so that there are no cycles."""
    written = {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None or tensor.is_variable}
    written.update(graph.inputs)
    for node in graph.nodes:
        for index in node.inputs:
            if index != -1 and index not in written:
                raise ModelUnreadable(
                    f"{node.location} reads tensor {index} before any operator writes it, so there may be a cycle"
                )
        for index in node.outputs:
            if index in written:
                raise ModelUnreadable(f"{node.location} writes tensor {index}, which is written twice")
            written.add(index)
    for index in graph.outputs:
        if index not in written:
            raise ModelUnreadable(f"no operator writes the output tensor {index}")
