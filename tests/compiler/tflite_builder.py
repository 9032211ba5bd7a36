# SPDX-License-Identifier: Apache-2.0
"""Builds small `.tflite` models from the schema, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder


class Model:
    """A model under construction."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self._model.subgraphs = [self._graph]
        self._variables = 0

    def tensor(  # noqa: PLR0913 - a tensor of the schema has that many fields
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] = 0.1,
        zero_point: int = 0,
        *,
        kind: str = "INT8",
        data: npt.NDArray[Any] | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor; a constant if it has data."""
        item = schema.TensorT()
        item.shape, item.type, item.buffer = list(shape), getattr(schema.TensorType, kind), 0
        scales = [scale] if isinstance(scale, float) else list(scale)
        item.quantization = schema.QuantizationParametersT()
        item.quantization.scale = scales
        item.quantization.zeroPoint = [zero_point] * len(scales)
        item.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            item.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(item)
        return len(self._graph.tensors) - 1

    def state(self, shape: Sequence[int], scale: float, zero_point: int = 0, kind: str = "INT16") -> int:
        """Add a tensor that an operator keeps from one inference to the next."""
        index = self.tensor(shape, scale, zero_point, kind=kind)
        self._graph.tensors[index].isVariable = True
        return index

    def constant(self, values: Any, kind: str = "INT32") -> int:  # noqa: ANN401 - anything numpy takes
        array = np.array(values, {"INT32": np.int32, "INT8": np.int8}[kind])
        return self.tensor(array.shape, 1.0, kind=kind, data=array)

    def operator(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:  # noqa: ANN401
        """Add an operator; `options` are the fields of its options table, `table` is the table's name."""
        number = getattr(schema.BuiltinOperator, name)
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), options.pop("version", 1)
        self._model.operatorCodes.append(code)
        item = schema.OperatorT()
        item.opcodeIndex = len(self._model.operatorCodes) - 1
        item.inputs, item.outputs = list(inputs), list(outputs)
        item.intermediates = list(options.pop("intermediates", []))
        table = options.pop("table", None)
        if table is not None:
            item.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            item.builtinOptions = getattr(schema, f"{table}T")()
            for field, value in options.items():
                setattr(item.builtinOptions, field, value)
        self._graph.operators.append(item)

    def variable(self, shape: Sequence[int], scale: float, zero_point: int, data: npt.NDArray[Any]) -> int:
        """Add a variable and its initial values, which a second graph assigns; return its handle in the main graph."""
        main = self._graph
        if len(self._model.subgraphs) == 1:
            initializer = schema.SubGraphT()
            initializer.tensors, initializer.operators, initializer.inputs, initializer.outputs = [], [], [], []
            self._model.subgraphs.append(initializer)
            self.operator("CALL_ONCE", [], [], table="CallOnceOptions", initSubgraphIndex=1)
        self._variables += 1
        handle = self._handle()
        self._graph = self._model.subgraphs[1]
        self.operator("ASSIGN_VARIABLE", [self._handle(), self.tensor(shape, scale, zero_point, data=data)], [])
        self._graph = main
        return handle

    def _handle(self) -> int:
        handle = self.tensor([], kind="RESOURCE")
        self._graph.tensors[handle].quantization = None
        name = f"variable_{self._variables}"
        self.operator("VAR_HANDLE", [], [handle], table="VarHandleOptions", container="", sharedName=name)
        return handle

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        builder = Builder(4096)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
