# SPDX-License-Identifier: Apache-2.0
"""The oracle: the reference kernels of TensorFlow Lite, never the optimized ones."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import Builder

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported
from reconciler.compiler.tflite.graph_reader import Node
from reconciler.compiler.tflite.plan_builder import Value

_NODE = re.compile(r"(?:\S+\.cc:\d+ )?(?P<why>.*?)\.?\s*Node number (?P<index>\d+) \((?P<name>\w+)\).*", re.DOTALL)
_QUANTIZED_DIMENSION = 16  # the field's place in the vtable of QuantizationParameters


class Oracle:
    """A model in the interpreter of TensorFlow Lite, with its reference kernels.

    A model with variables continues from the inference before, until it is reset.

    A refusal by a kernel names the operator as in `locations`, if they are given.
    """

    def __init__(self, model: bytes, locations: Sequence[str] = ()) -> None:
        self._locations = locations
        self._model = _with_valid_axes(model)
        self.reset()
        self.inputs = self._interpreter.get_input_details()
        self.outputs = self._interpreter.get_output_details()

    def reset(self) -> None:
        """Set the model's variables to their initial values; only a new interpreter runs their initializer again."""
        with self._refusals():
            self._interpreter = Interpreter(
                model_content=self._model,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                num_threads=1,
            )
            self._interpreter.allocate_tensors()

    def run(self, inputs: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic]]:
        """Return the outputs for one set of inputs."""
        for detail, value in zip(self.inputs, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], value.reshape(detail["shape"]).astype(detail["dtype"]))
        with self._refusals():
            self._interpreter.invoke()
        return [np.array(self._interpreter.get_tensor(detail["index"])) for detail in self.outputs]

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn what the interpreter raises into a build error."""
        try:
            yield
        except ValueError as error:
            raise ModelUnreadable(f"TensorFlow Lite itself can't read this model: {error}") from error
        except RuntimeError as error:
            known = _NODE.fullmatch(str(error))
            if known is None:
                raise OperatorUnsupported(f"TensorFlow Lite itself refuses this model: {error}") from error
            index = int(known["index"])
            location = self._locations[index] if index < len(self._locations) else f"operator {index} ({known['name']})"
            raise OperatorUnsupported(
                f"{location}: TensorFlow Lite itself refuses this model: {known['why']}: convert it again, "
                "or replace the layer"
            ) from error


def _with_valid_axes(model: bytes) -> bytes:
    """Return a model in which every quantized dimension exists.

    Some converters give the bias, which has one dimension, that of the weights. The interpreter refuses such a model,
    although no kernel uses it.
    """
    corrected = bytearray(model)
    try:
        for tensor in _tensors(schema.Model.GetRootAs(corrected, 0)):
            quantization = tensor.Quantization()
            at = 0 if quantization is None else quantization._tab.Offset(_QUANTIZED_DIMENSION)  # noqa: SLF001 - no public way to its place
            if at and not 0 <= quantization.QuantizedDimension() < max(1, tensor.ShapeLength()):
                struct.pack_into("<i", corrected, quantization._tab.Pos + at, 0)  # noqa: SLF001 - as above
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError):
        return model  # damaged: the interpreter says how
    return bytes(corrected)


def _tensors(model: Any) -> Iterator[Any]:  # noqa: ANN401 - generated accessors without types
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.TensorsLength()):
            yield graph.Tensors(index)


def tabulate(node: Node, source: Value, target: Value) -> bytes:
    """Return what an elementwise operator makes of each of the 256 values.

    With extreme scales, kernels shift further than C defines, and their results depend on the values next to a value.
    """
    values = np.arange(-128, 128, dtype=np.int8)
    (together,) = _elementwise(node, source, target, values.size).run([values])
    alone = _elementwise(node, source, target, 1)
    if any(alone.run([values[at : at + 1]])[0] != together.flat[at] for at in range(values.size)):
        raise OperatorUnsupported(
            f"{node.location}: TensorFlow Lite itself gives several results for one value, because the scales "
            f"{source.scale} and {target.scale} are too far apart: convert the model again"
        )
    return together.astype(np.int8).tobytes()


def _elementwise(node: Node, source: Value, target: Value, size: int) -> Oracle:
    """Return a model with one operator."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, node.name)
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
    model.operatorCodes = [code]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    if node.table:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, node.table)
        operator.builtinOptions = getattr(schema, f"{node.table}T")(**node.options)
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(source, size), _tensor(target, size)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.subgraphs = [graph]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return Oracle(bytes(builder.Output()), [node.location])


def _tensor(value: Value, size: int) -> object:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = [1, size], schema.TensorType.INT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [value.scale], [value.zero_point]
    return tensor
