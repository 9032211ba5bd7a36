# SPDX-License-Identifier: Apache-2.0
"""Operators that packs cannot express are refused, each with its reason."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import (
    DoesNotFit,
    ModelUnreadable,
    OperatorUnsupported,
)
from reconciler.compiler.pack.fixed_point import solve_single_rounding
from reconciler.compiler.pack.operators import FullyConnected
from reconciler.compiler.pack.pack_format import (
    SectionId,
    disassemble,
)
from reconciler.compiler.pack.plan_section import decode_plan
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.sample_models import add_network
from tests.compiler.tflite_builder import Model as Flat


def _dense(shape: tuple[int, int] = (2, 4), *, width: int = 4, shuffled: int = 0, **weights: Any) -> bytes:  # noqa: ANN401 - fields of a tensor
    model = Flat()
    x, y = model.tensor([1, width]), model.tensor([1, shape[0]])
    w = model.tensor(shape, data=np.ones(shape, np.int8), **weights)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions", weightsFormat=shuffled)
    return model.finish([x], [y])


def _depthwise() -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4, 4, 3]), model.tensor([1, 4, 4, 4])
    w = model.tensor([1, 1, 1, 4], data=np.ones((1, 1, 1, 4), np.int8), axis=3)
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1}
    model.operator("DEPTHWISE_CONV_2D", [x, w, -1], [y], table="DepthwiseConv2DOptions", **options)
    return model.finish([x], [y])


def _reduced(axis: int) -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4, 4, 3]), model.tensor([1, 4, 4, 1])
    model.operator("REDUCE_MAX", [x, model.constant([axis])], [y], table="ReducerOptions", keepDims=True)
    return model.finish([x], [y])


def _padded(top: int, fill: int | None = None) -> bytes:
    model = Flat()
    x, y = model.tensor([1, 2, 2, 1]), model.tensor([1, 2 + top, 2, 1])
    inputs = [x, model.constant([[0, 0], [top, 0], [0, 0], [0, 0]])]
    if fill is not None:
        inputs.append(model.tensor([1], kind="INT8", data=np.array([fill], np.int8)))
    model.operator(
        "PAD" if fill is None else "PADV2", inputs, [y], table="PadOptions" if fill is None else "PadV2Options"
    )
    return model.finish([x], [y])


def _joined_and_activated() -> bytes:
    model = Flat()
    x, z, y = model.tensor([1, 4]), model.tensor([1, 4]), model.tensor([1, 8])
    options = {"axis": 1, "fusedActivationFunction": 1}
    model.operator("CONCATENATION", [x, z], [y], table="ConcatenationOptions", **options)
    return model.finish([x, z], [y])


def _added(scale: float) -> bytes:
    model = Flat()
    x, z, y = model.tensor([1, 4]), model.tensor([1, 4]), model.tensor([1, 4], scale)
    model.operator("ADD", [x, z], [y], table="AddOptions")
    return model.finish([x, z], [y])


def _softmax(scale_in: float, scale_out: float) -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4], scale_in), model.tensor([1, 4], scale_out, -128)
    model.operator("SOFTMAX", [x], [y], table="SoftmaxOptions", beta=1.0)
    return model.finish([x], [y])


def _two_outputs() -> bytes:
    model = Flat()
    x, y, z = (model.tensor([1, 4]) for _ in range(3))
    model.operator("RELU", [x], [y, z])
    return model.finish([x], [y])


def _padded_by_what_is_computed() -> bytes:
    model = Flat()
    x, y, z = model.tensor([4, 2]), model.tensor([4, 2]), model.tensor([4, 2])
    model.operator("RELU", [x], [y])
    model.operator("PAD", [x, y], [z], table="PadOptions")
    return model.finish([x], [z])


def _grown() -> bytes:
    model = Flat()
    x, y, z = model.tensor([1, 4]), model.tensor([1, 5]), model.tensor([1, 5])
    model.operator("RESHAPE", [x, model.constant([1, 5])], [y], table="ReshapeOptions")
    model.operator("RELU", [y], [z])
    return model.finish([x], [z])


def _nothing_computed() -> bytes:
    model = Flat()
    x = model.tensor([1, 4])
    return model.finish([x], [x])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _dense(scale=[0.1, 0.2, 0.3]), "the weights have 3 scales for 2 channels"),
        (lambda: _dense(shuffled=1), "the weights are shuffled"),
        (lambda: _dense(width=5), "weights of 2 by 4 do not match 5 inputs"),
        (_depthwise, "4 filters do not match 3 channels"),
        (lambda: _reduced(3), "only height and width can be reduced"),
        (lambda: _padded(-1), "negative padding crops the input"),
        (_joined_and_activated, "a fused activation is not supported"),
        (lambda: _added(1e-9), "the scale of the output is too small"),
        (lambda: _softmax(0.1, 0.1), "the output must have the scale 1/256"),
        (lambda: _softmax(1e-12, 1 / 256), "the scale .* of the input is too small"),
        (_two_outputs, "has 2 outputs; only operators with one are supported"),
        (_padded_by_what_is_computed, "input 1 must be a constant"),
        (_grown, "cannot be reshaped to"),
        (_nothing_computed, "no operators"),
    ],
)
def test_an_unsupported_variant_of_an_operator_is_refused(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(OperatorUnsupported, match=message):
        build_network(make())


def test_padding_with_a_constant_equals_the_oracle() -> None:
    data = _padded(1, fill=7)
    pixels = np.arange(4, dtype=np.int8)
    (computed,) = ReferenceInterpreter(build_network(data).data).run([pixels.tobytes()]).outputs
    (expected,) = Oracle(data).run([pixels.reshape(1, 2, 2, 1)])
    assert np.frombuffer(computed, np.int8).tolist() == expected.reshape(-1).tolist() == [7, 7, 0, 1, 2, 3]


def test_an_operator_whose_output_is_unused_is_left_out() -> None:
    model = Flat()
    x, y, dead = model.tensor([1, 4]), model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("RELU", [x], [dead])
    model.operator("RELU", [x], [y])
    plan = decode_plan(disassemble(build_network(model.finish([x], [y])).data).section(SectionId.PLAN))
    assert len(plan) == 1


def test_a_custom_operator_is_refused_by_name() -> None:
    def custom(model: Flat) -> None:
        code = model._model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"Teleport"
        model._graph.operators[0].builtinOptionsType = schema.BuiltinOptions.NONE
        model._graph.operators[0].builtinOptions = None

    with pytest.raises(OperatorUnsupported, match="CUSTOM Teleport"):
        build_network(add_network(custom))


def _relu(shape: list[int], **source: object) -> bytes:
    model = Flat()
    x, y = model.tensor(shape, **source), model.tensor(shape)  # type: ignore[arg-type]  # a test's shorthand
    model.operator("RELU", [x], [y])
    return model.finish([x], [y])


def _fused(activation: int, scale: float = 0.1) -> bytes:
    model = Flat()
    x, z, y = model.tensor([1, 4], scale), model.tensor([1, 4], scale), model.tensor([1, 4], scale)
    model.operator("ADD", [x, z], [y], table="AddOptions", fusedActivationFunction=activation)
    return model.finish([x, z], [y])


def _reshaped() -> bytes:
    model = Flat()
    x, y, z = model.tensor([1, 4]), model.tensor([4], 0.2), model.tensor([4], 0.2)
    model.operator("RESHAPE", [x, model.constant([4])], [y], table="ReshapeOptions")
    model.operator("RELU", [y], [z])
    return model.finish([x], [z])


def _weights(kind: str, zero_point: int) -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 2])
    data = np.ones((2, 4), np.int8 if kind == "INT8" else np.float32)
    w = model.tensor([2, 4], 0.1, zero_point, kind=kind, data=data)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions")
    return model.finish([x], [y])


def _pooled() -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4, 4, 1], 0.1), model.tensor([1, 2, 2, 1], 0.2)
    geometry = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2, "padding": 1}
    model.operator("MAX_POOL_2D", [x], [y], table="Pool2DOptions", **geometry)
    return model.finish([x], [y])


def _joined() -> bytes:
    model = Flat()
    x, z, y = model.tensor([1, 4], 0.1), model.tensor([1, 4], 0.2), model.tensor([1, 8], 0.1)
    model.operator("CONCATENATION", [x, z], [y], table="ConcatenationOptions", axis=1)
    return model.finish([x, z], [y])


def _overflowing() -> bytes:
    model = Flat()
    x, y = model.tensor([1, 200]), model.tensor([1, 1])
    w = model.tensor([1, 200], 0.1, data=np.full((1, 200), 127, np.int8))
    b = model.tensor([1], 0.01, kind="INT32", data=np.array([(1 << 31) - 1], np.int32))
    model.operator("FULLY_CONNECTED", [x, w, b], [y], table="FullyConnectedOptions")
    return model.finish([x], [y])


def _scaled(name: str, source: float, target: float) -> bytes:
    """Return an operator whose output has a far smaller scale than its input."""
    model = Flat()
    x = model.tensor([1, 2, 2, 1], source)
    if name == "MEAN":
        y = model.tensor([1, 1], target)
        model.operator(name, [x, model.constant([1, 2])], [y], table="ReducerOptions")
    elif name == "MUL":
        y = model.tensor([1, 2, 2, 1], target)
        model.operator(name, [x, x], [y], table="MulOptions")
    elif name == "FULLY_CONNECTED":
        y, w = model.tensor([1, 1], target), model.tensor([1, 4], 0.1, data=np.full((1, 4), 127, np.int8))
        model.operator(name, [x, w, -1], [y], table="FullyConnectedOptions", version=4)
    elif name == "CONV_2D":
        y, w = model.tensor([1, 2, 2, 1], target), model.tensor([1, 1, 1, 1], 0.1, data=np.ones((1, 1, 1, 1), np.int8))
        options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        model.operator(name, [x, w, -1], [y], table="Conv2DOptions", **options)
    else:
        y = model.tensor([1, 2, 2, 1], target)
        model.operator(name, [x], [y], **({"table": "QuantizeOptions"} if name == "QUANTIZE" else {}))
    return model.finish([x], [y])


CASES: list[tuple[Callable[[], bytes], type[Exception], str]] = [
    (lambda: _relu([1, 1, 2, 2, 2]), OperatorUnsupported, "at most four dimensions of 1 to 65535"),
    (lambda: _relu([1, 70000]), OperatorUnsupported, "at most four dimensions of 1 to 65535"),
    (lambda: _relu([4], scale=[0.1, 0.2, 0.3, 0.4]), ModelUnreadable, "not quantized with a single scale"),
    (lambda: _relu([4], scale=float("nan")), ModelUnreadable, "not quantized with a single scale"),
    (lambda: _relu([4], scale=1e-38), ModelUnreadable, "not quantized with a single scale"),
    (lambda: _fused(0, 3e38), OperatorUnsupported, "are too large"),
    (lambda: _fused(0, 1e33), OperatorUnsupported, "are too large"),
    (lambda: _scaled("HARD_SWISH", 1e9, 1e9), OperatorUnsupported, "several results for one value"),
    (lambda: _relu([4], zero_point=300), OperatorUnsupported, "zero point 300, which is not an int8"),
    (lambda: _fused(4), OperatorUnsupported, "fused activation 4 is not supported"),
    (lambda: _fused(3, 1e-30), OperatorUnsupported, "is too small for its activation"),
    (_reshaped, OperatorUnsupported, "changes the scale"),
    (lambda: _weights("INT8", 5), OperatorUnsupported, "symmetric weights"),
    (lambda: _weights("FLOAT32", 0), OperatorUnsupported, "quantize the whole model"),
    (_pooled, OperatorUnsupported, "the pool changes the scale"),
    (_joined, OperatorUnsupported, "the inputs and the output differ in scale"),
    (_overflowing, DoesNotFit, "does not fit 32 bits"),
    *(
        (functools.partial(_scaled, name, 1.0, 1e-12), DoesNotFit, rf"operator 0 \({name}\): a scaled value can reach")
        for name in ("CONV_2D", "FULLY_CONNECTED", "MEAN", "MUL", "QUANTIZE", "RELU")
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), CASES)
def test_an_unsupported_model_is_refused(make: Callable[[], bytes], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_network(make())


@pytest.mark.parametrize("name", ["FULLY_CONNECTED", "MEAN", "MUL", "QUANTIZE", "RELU"])
def test_a_large_scale_that_fits_32_bits_equals_the_oracle(name: str) -> None:
    data = _scaled(name, 1.0, 1e-4)
    pixels = np.array([-128, 127, 1, -1], np.int8)
    (computed,) = ReferenceInterpreter(build_network(data).data).run([pixels.tobytes()]).outputs
    assert computed == Oracle(data).run([pixels])[0].tobytes()


def test_units_of_one_scale_get_their_own_multipliers_where_none_fits_all() -> None:
    """Each unit has its own narrow band of sums; the hull of both bands has no multiplier that fits."""
    target = float(np.float32(0.7))
    scale = next(
        float(scale)
        for scale in np.random.default_rng(7).uniform(2.0**-19, 2.0**-18, 60).astype(np.float32)
        if solve_single_rounding(float(scale) / target, (-128, 127), (-(1 << 25) - 512, (1 << 25) + 508)) is None
    )
    model = Flat()
    x, y = model.tensor([1, 4], 1.0), model.tensor([1, 2], target)
    w = model.tensor([2, 4], scale, data=np.ones((2, 4), np.int8))
    b = model.tensor([2], scale, kind="INT32", data=np.array([-(1 << 25), 1 << 25], np.int32))
    model.operator("FULLY_CONNECTED", [x, w, b], [y], table="FullyConnectedOptions", version=4)
    data = model.finish([x], [y])
    network = build_network(data)
    (operator,) = decode_plan(disassemble(network.data).section(SectionId.PLAN))
    assert isinstance(operator, FullyConnected)
    assert operator.per_channel == 1
    values = np.random.default_rng(1).integers(-128, 128, 4).astype(np.int8)
    (computed,) = ReferenceInterpreter(network.data).run([values.tobytes()]).outputs
    assert computed == Oracle(data).run([values])[0].tobytes()


def test_a_missing_input_is_refused() -> None:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("ADD", [x, -1], [y], table="AddOptions")
    with pytest.raises(OperatorUnsupported, match="input 1 is missing"):
        build_network(model.finish([x], [y]))


def test_a_bias_of_the_wrong_length_is_refused() -> None:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 2])
    w = model.tensor([2, 4], data=np.ones((2, 4), np.int8))
    b = model.tensor([3], 0.01, kind="INT32", data=np.ones(3, np.int32))
    model.operator("FULLY_CONNECTED", [x, w, b], [y], table="FullyConnectedOptions")
    with pytest.raises(OperatorUnsupported, match="bias"):
        build_network(model.finish([x], [y]))


def test_filters_of_the_wrong_depth_are_refused() -> None:
    model = Flat()
    x, y = model.tensor([1, 4, 4, 3]), model.tensor([1, 4, 4, 2])
    w = model.tensor([2, 1, 1, 2], data=np.ones((2, 1, 1, 2), np.int8))
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    model.operator("CONV_2D", [x, w, -1], [y], table="Conv2DOptions", **options)
    with pytest.raises(OperatorUnsupported, match="3 channels do not match filters of depth 2"):
        build_network(model.finish([x], [y]))


def _activation(name: str, source: float, target: float) -> bytes:
    """Return a valid layer followed by an activation with these scales."""
    model = Flat()
    first, second, third = model.tensor([1, 4], 1.0), model.tensor([1, 4], source), model.tensor([1, 4], target)
    model.operator("QUANTIZE", [first], [second], table="QuantizeOptions")
    model.operator(name, [second], [third])
    return model.finish([first], [third])


@pytest.mark.parametrize(("name", "target"), [("HARD_SWISH", 0.003), ("LOGISTIC", 0.01)])
def test_an_operator_that_the_reference_kernels_refuse_is_named_with_its_location(name: str, target: float) -> None:
    data = _activation(name, 2.0, target)
    with pytest.raises(
        OperatorUnsupported, match=rf"operator 1 \({name}\): TensorFlow Lite itself refuses this model: \w+"
    ):
        build_network(data)
    with pytest.raises(OperatorUnsupported, match=rf"operator 1 \({name}\)"):
        Oracle(data)


def test_bytes_that_the_interpreter_cannot_read_are_refused() -> None:
    with pytest.raises(ModelUnreadable, match="TensorFlow Lite itself can't read this model"):
        Oracle(b"TFL3 but not so")
