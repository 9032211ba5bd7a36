# SPDX-License-Identifier: Apache-2.0
"""A refusal names the operator, its layer and what to do instead, for the files that people bring."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.tflite_builder import Model as Flat


def _custom(name: bytes) -> bytes:
    """Return a model with one custom operator, which reads a scratch tensor that nothing writes."""
    model = Flat()
    x, y, scratch = model.tensor([1, 4]), model.tensor([1, 4]), model.tensor([64])
    model.operator("CUSTOM", [x, scratch], [y])
    model._model.operatorCodes[0].customCode = name
    return model.finish([x], [y])


def _svdf() -> bytes:
    """Return a model with a state, which is a variable: no operator writes it."""
    model = Flat()
    x, y, state = model.tensor([1, 4]), model.tensor([1, 2]), model.tensor([1, 8], kind="INT16")
    model._graph.tensors[state].isVariable = True
    w = model.tensor([2, 4], data=np.ones((2, 4), np.int8))
    t = model.tensor([2, 4], kind="INT16", data=np.ones((2, 4), np.int16))
    model.operator("SVDF", [x, w, t, -1, state], [y], table="SVDFOptions", rank=1)
    model._graph.tensors[y].name = "stream/svdf"
    return model.finish([x], [y])


def _lstm(*given: int) -> bytes:
    """Return a model without weights, apart from a tensor at the given inputs, and with a tensor without elements."""
    model = Flat()
    x, y, empty = model.tensor([1, 4]), model.tensor([1, 2]), model.tensor([0])
    more = model.constant([1])
    inputs = [more if position in given else -1 for position in range(1, 24)]
    model.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inputs], [y], intermediates=[empty])
    model._graph.tensors[y].name = "net/lstm"
    return model.finish([x], [y])


def _stateful() -> bytes:
    """Return a model that initializes a variable in a second subgraph."""
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    handle = model.tensor([1], kind="RESOURCE")
    model.operator("CALL_ONCE", [], [])
    model.operator("VAR_HANDLE", [], [handle])
    model.operator("READ_VARIABLE", [handle], [y])
    model._model.subgraphs.append(model._graph)
    return model.finish([x], [y])


def _variable(values: np.ndarray[tuple[int, ...], np.dtype[np.int8]], scale: float = 0.1) -> bytes:
    """Return a model that reads a variable, with initial values and a scale."""
    model = Flat()
    x, past, y = model.tensor([1, 4]), model.tensor([1, 4], scale), model.tensor([1, 4])
    kept = model.variable([1, len(values)], 0.1, 0, values)
    model.operator("READ_VARIABLE", [kept], [past])
    model.operator("ASSIGN_VARIABLE", [kept, x], [])
    model.operator("ADD", [past, x], [y], table="AddOptions")
    return model.finish([x], [y])


def _float(weights: str = "FLOAT32") -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4], kind="FLOAT32"), model.tensor([1, 2], kind="FLOAT32")
    w = model.tensor([2, 4], kind=weights, data=np.ones((2, 4), np.int8 if weights == "INT8" else np.float32))
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions")
    return model.finish([x], [y])


def _half() -> bytes:
    """Return a float model whose weights take two bytes each."""
    model = Flat()
    x, y = model.tensor([1, 4], kind="FLOAT32"), model.tensor([1, 2], kind="FLOAT32")
    half = model.tensor([2, 4], kind="FLOAT16", data=np.ones((2, 4), np.float16))
    w = model.tensor([2, 4], kind="FLOAT32")
    model.operator("DEQUANTIZE", [half], [w])
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions")
    return model.finish([x], [y])


def _one_float_layer() -> bytes:
    model = Flat()
    x, a = model.tensor([1, 4]), model.tensor([1, 4])
    b, c = model.tensor([1, 4], kind="FLOAT32"), model.tensor([1, 4], kind="FLOAT32")
    y = model.tensor([1, 4])
    model.operator("RELU", [x], [a])
    model.operator("DEQUANTIZE", [a], [b])
    model.operator("ELU", [b], [c])
    model.operator("QUANTIZE", [c], [y], table="QuantizeOptions")
    model._graph.tensors[c].name = "net/elu_1/Elu"
    return model.finish([x], [y])


def _six_dimensions() -> bytes:
    model = Flat()
    x, y, z = model.tensor([1, 2, 2, 1]), model.tensor([1, 2, 1, 2, 1, 1]), model.tensor([1, 2, 1, 2, 1, 1])
    model.operator("RESHAPE", [x, model.constant([1, 2, 1, 2, 1, 1])], [y], table="ReshapeOptions")
    model.operator("RELU", [y], [z])
    return model.finish([x], [z])


def _two_subgraphs() -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("RELU", [x], [y])
    model._model.subgraphs.append(model._graph)
    return model.finish([x], [y])


def _several() -> bytes:
    model = Flat()
    x, a, b, c, y = (model.tensor([1, 4]) for _ in range(5))
    model.operator("SUB", [x, x], [a], table="SubOptions")
    model.operator("DIV", [a, x], [b], table="DivOptions")
    model.operator("DIV", [b, x], [c], table="DivOptions")
    model.operator("MAXIMUM", [c, x], [y])
    return model.finish([x], [y])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _custom(b"ethos-u"), r"operator 0 \(CUSTOM ethos-u\): the model was compiled for an Arm Ethos-U"),
        (lambda: _custom(b"Teleport"), r"operator 0 \(CUSTOM Teleport\) is not supported: docs/build\.md lists"),
        (_svdf, r"operator 0 \(SVDF, layer 'stream/svdf'\): only RELU is supported as its activation"),
        (
            lambda: _lstm(16),
            r"operator 0 \(UNIDIRECTIONAL_SEQUENCE_LSTM, layer 'net/lstm'\): projections are not supported",
        ),
        (lambda: _lstm(9), r"UNIDIRECTIONAL_SEQUENCE_LSTM.*: peephole connections are not supported: use a plain LSTM"),
        (lambda: _lstm(20), "normalized layers are not supported"),
        (_lstm, "coupled input gates are not supported: use a plain LSTM, with four gates only"),
        (_stateful, r"operator 2 \(READ_VARIABLE\): the variable '' has no initial values: convert the model again"),
        (lambda: _variable(np.array([1, 2, 3, 4], np.int8)), r"READ_VARIABLE\).* start from different values"),
        (lambda: _variable(np.zeros(5, np.int8)), r"has 5 initial values of type INT8, but is used as 4 of type INT8"),
        (lambda: _variable(np.zeros(4, np.int8), 0.2), r"ASSIGN_VARIABLE\).* with several types, sizes or scales"),
        (_float, r"operator 0 \(FULLY_CONNECTED\): this is a float model; quantize the whole model to full int8"),
        (lambda: _float("INT8"), "this is a hybrid model: its weights are int8, but it computes in float; quantize"),
        (_half, r"operator 0 \(DEQUANTIZE\): this is a float model; quantize"),
        (_one_float_layer, r"operator 2 \(ELU, layer 'net/elu_1/Elu'\) computes in float, .* use RELU, LEAKY_RELU"),
        (_six_dimensions, r"operator 0 \(RESHAPE\): a tensor has the shape \[1, 2, 1, 2, 1, 1\].* UpSampling2D"),
        (_two_subgraphs, "the model has 2 subgraphs; only models with one can be built"),
        (_several, r"operator 0 \(SUB\) .*\. Also not supported: DIV \(2 times\), MAXIMUM$"),
    ],
)
def test_a_model_that_packs_cannot_express_is_refused_with_its_reason(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(OperatorUnsupported, match=message):
        build_network(make())


def test_a_bias_with_the_axis_of_its_weights_is_accepted() -> None:
    """The best-known example of TensorFlow Lite Micro gives its biases, of one dimension, the axis 3."""
    model = Flat()
    x, y = model.tensor([1, 3, 3, 2]), model.tensor([1, 3, 3, 2], 0.5)
    scales = [0.1, 0.2]
    w = model.tensor([1, 2, 2, 2], scales, data=np.arange(8, dtype=np.int8).reshape(1, 2, 2, 2), axis=3)
    b = model.tensor([2], [0.01, 0.02], kind="INT32", data=np.array([9, -9], np.int32), axis=3)
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1}
    model.operator("DEPTHWISE_CONV_2D", [x, w, b], [y], table="DepthwiseConv2DOptions", **options)
    data = model.finish([x], [y])
    assert schema.Model.GetRootAs(data, 0).Subgraphs(0).Tensors(b).Quantization().QuantizedDimension() == 3
    pixels = np.random.default_rng(1).integers(-128, 128, (1, 3, 3, 2)).astype(np.int8)
    (computed,) = ReferenceInterpreter(build_network(data).data).run([pixels.tobytes()]).outputs
    assert computed == Oracle(data).run([pixels])[0].tobytes()
