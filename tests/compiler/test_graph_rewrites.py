# SPDX-License-Identifier: Apache-2.0
"""Which operators the builder saves. `test_network_exactness.py` shows that the results stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from reconciler.compiler.build_pipeline import BuildPipeline
from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.operators import Conv2D, FullyConnected, MaxPool, Operator, Pad
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.plan_section import decode_plan
from reconciler.compiler.pack.tunable_parameters_section import Parameter, name_hash
from reconciler.compiler.recipe import GateSpec, Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import Decision, build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.recipes import TARGET, Files
from tests.compiler.tflite_builder import Model as Flat

GEOMETRY = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "padding": 1}


def plan_of(model: bytes) -> list[Operator]:
    return decode_plan(disassemble(build_network(model).data).section(SectionId.PLAN))


def weights(model: Flat, shape: tuple[int, ...], *, channels: int, axis: int = 0) -> tuple[int, int]:
    data = np.random.default_rng(1).integers(-9, 10, shape).astype(np.int8)
    bias = model.tensor([channels], 0.01, kind="INT32", data=np.arange(channels, dtype=np.int32))
    return model.tensor(shape, 0.1, data=data, axis=axis), bias


def test_a_depthwise_convolution_of_one_channel_is_an_ordinary_one() -> None:
    model = Flat()
    x, y = model.tensor([1, 8, 8, 1]), model.tensor([1, 6, 6, 4])
    operands = weights(model, (1, 3, 3, 4), channels=4, axis=3)
    table = {"table": "DepthwiseConv2DOptions", "depthMultiplier": 4, **GEOMETRY}
    model.operator("DEPTHWISE_CONV_2D", [x, *operands], [y], **table)
    (operator,) = plan_of(model.finish([x], [y]))
    assert isinstance(operator, Conv2D)
    assert operator.groups == 1


def padded(
    pads: tuple[int, int],
    *,
    reader: str = "CONV_2D",
    zero_point: int = 0,
    fill: int | None = None,
    also_read: bool = False,
) -> bytes:
    """Return a PAD (with a fill: PADV2) of rows before and after an image of four, and a window of three."""
    model = Flat()
    height = 4 + sum(pads)
    x = model.tensor([1, 4, 4, 2], 0.1, zero_point)
    p = model.tensor([1, height, 4, 2], 0.1, zero_point)
    y = model.tensor([1, height - 2, 2, 2], 0.1, zero_point)
    inputs = [x, model.constant([[0, 0], list(pads), [0, 0], [0, 0]])]
    if fill is None:
        model.operator("PAD", inputs, [p], table="PadOptions")
    else:
        inputs.append(model.tensor([1], 0.1, zero_point, data=np.array([fill], np.int8)))
        model.operator("PADV2", inputs, [p], table="PadV2Options")
    if reader == "CONV_2D":
        model.operator(reader, [p, *weights(model, (2, 3, 3, 2), channels=2)], [y], table="Conv2DOptions", **GEOMETRY)
    else:
        window = {"filterHeight": 3, "filterWidth": 3, "strideH": 1, "strideW": 1, "padding": 1}
        model.operator(reader, [p], [y], table="Pool2DOptions", **window)
    return model.finish([x], [y, p] if also_read else [y])


@pytest.mark.parametrize(
    ("reader", "zero_point", "fill"),
    [
        ("CONV_2D", 0, None),
        ("CONV_2D", -128, None),
        ("CONV_2D", -3, -3),
        ("MAX_POOL_2D", -128, None),
        ("MAX_POOL_2D", 5, -128),  # the least value never wins
    ],
)
def test_padding_is_folded_into_the_operator_behind_it(reader: str, zero_point: int, fill: int | None) -> None:
    (operator,) = plan_of(padded((2, 1), reader=reader, zero_point=zero_point, fill=fill))
    assert isinstance(operator, (Conv2D, MaxPool))
    assert (operator.pad_top, operator.pad_left) == (2, 0)


@pytest.mark.parametrize(
    "model",
    [
        padded((3, 0)),  # the first window would not reach the input
        padded((0, 3)),  # nor would the last
        padded((1, 1), reader="MAX_POOL_2D"),  # zeros count, and what is outside does not
        padded((1, 1), reader="AVERAGE_POOL_2D", zero_point=-128),
    ],
)
def test_padding_that_an_operator_cannot_do_itself_stays(model: bytes) -> None:
    assert isinstance(plan_of(model)[0], Pad)


@pytest.mark.parametrize(
    ("reader", "zero_point", "fill"),
    [
        ("CONV_2D", -3, 0),  # a real 0 is the zero point, not the integer
        ("CONV_2D", 0, -128),
        ("CONV_2D", -128, 127),
        ("AVERAGE_POOL_2D", 0, 0),  # what is outside would not be counted
        ("MAX_POOL_2D", -128, -127),
        ("MAX_POOL_2D", -3, -3),
    ],
)
def test_padding_with_another_value_stays_and_equals_the_oracle(reader: str, zero_point: int, fill: int) -> None:
    model = padded((1, 1), reader=reader, zero_point=zero_point, fill=fill)
    pad = plan_of(model)[0]
    assert isinstance(pad, Pad)
    assert (pad.low, pad.high) == (fill, fill)
    pixels = np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 2), np.int8)
    (computed,) = ReferenceInterpreter(build_network(model).data).run([pixels.tobytes()]).outputs
    (expected,) = Oracle(model).run([pixels])
    assert np.frombuffer(computed, np.int8).tolist() == expected.reshape(-1).tolist()


def test_padding_that_something_else_reads_stays_and_the_convolution_does_without_it() -> None:
    pad, convolution = plan_of(padded((1, 1), also_read=True))
    assert isinstance(pad, Pad)
    assert isinstance(convolution, Conv2D)
    assert convolution.input == pad.input


def channels_first(*, units: int = 2, transposes: int = 1) -> bytes:
    """Return a model with a signal of two channels by three, and a dense layer on it, both with channels first."""
    model = Flat()
    at = first = model.tensor([1, 2, 3])
    if transposes > 0:
        last = model.tensor([1, 3, 2])
        model.operator("TRANSPOSE", [at, model.constant([0, 2, 1])], [last], table="TransposeOptions")
        at = model.tensor([1, 3, 2])
        model.operator("RELU", [last], [at])
    if transposes > 1:
        again = model.tensor([1, 2, 3])
        model.operator("TRANSPOSE", [at, model.constant([0, 2, 1])], [again], table="TransposeOptions")
        at = again
    flat, y = model.tensor([1, 6]), model.tensor([1, units])
    model.operator("RESHAPE", [at, model.constant([1, 6])], [flat], table="ReshapeOptions")
    w = model.tensor([units, 6], data=np.arange(units * 6, dtype=np.int8).reshape(units, 6) - 4)
    model.operator("FULLY_CONNECTED", [flat, w, -1], [y], table="FullyConnectedOptions", version=4)
    return model.finish([first], [y])


def test_a_transposition_before_a_dense_layer_is_folded_into_its_weights() -> None:
    assert [operator.NAME for operator in plan_of(channels_first(transposes=2))] == ["QUANTIZE", "FULLY_CONNECTED"]


def test_a_transposition_at_the_input_is_cut_and_noted() -> None:
    network = build_network(channels_first())
    assert network.notes == ("input 0 has the shape [1, 3, 2] on the device, and [1, 2, 3] in the model",)
    assert network.input_orders == ((0, 3, 1, 4, 2, 5),)


def test_data_keeps_the_layout_of_the_model_if_its_input_is_transposed() -> None:
    rows = np.random.default_rng(1).normal(0, 5, (30, 6))
    w = np.arange(12).reshape(2, 6) - 4
    labels = (np.maximum(rows.reshape(-1, 2, 3).transpose(0, 2, 1).reshape(-1, 6), 0) @ w.T).argmax(axis=1)
    lines = [",".join(f"{value:.4f}" for value in row) + f",{label}" for row, label in zip(rows, labels, strict=True)]
    files = Files()
    data = files.add("e.csv", ("a,b,c,d,e,f,label\n" + "\n".join(lines) + "\n").encode())
    gates = (GateSpec("accuracy", at_least=0.9, data=data),)
    recipe = Recipe("m@1", files.add("m.tflite", channels_first()), TARGET, gates=gates)
    assert BuildPipeline(recipe, files.by_digest, lambda _step: None).build().report.gates[-1].passed


def test_a_transposition_of_single_elements_costs_nothing() -> None:
    model = Flat()
    x, last, y = model.tensor([1, 1, 6]), model.tensor([1, 6, 1]), model.tensor([1, 6, 1])
    model.operator("RELU", [x], [middle := model.tensor([1, 1, 6])])
    model.operator("TRANSPOSE", [middle, model.constant([0, 2, 1])], [last], table="TransposeOptions")
    model.operator("TANH", [last], [y := model.tensor([1, 6, 1], 1 / 128, 0)])
    assert [operator.NAME for operator in plan_of(model.finish([x], [y]))] == ["QUANTIZE", "LOOKUP"]


def test_any_other_transposition_is_refused_with_advice() -> None:
    model = Flat()
    x, z, y = model.tensor([1, 2, 6]), model.tensor([1, 2, 6]), model.tensor([1, 6, 2])
    model.operator("RELU", [x], [z])
    model.operator("TRANSPOSE", [z, model.constant([0, 2, 1])], [y], table="TransposeOptions")
    with pytest.raises(OperatorUnsupported, match=r"operator 1 \(TRANSPOSE\) .* channels-last layout"):
        build_network(model.finish([x], [y]))


def test_a_reconstruction_of_a_transposed_input_is_refused() -> None:
    parameters = [Parameter(name_hash("threshold"), 1, 0, 9)]
    with pytest.raises(OperatorUnsupported, match="give the model an input with channels last"):
        build_network(channels_first(units=6), decision=Decision(DecisionMode.RECONSTRUCTION, 0), parameters=parameters)


def test_a_transposed_dense_layer_of_several_rows_is_refused() -> None:
    model = Flat()
    x, z, t, y = model.tensor([2, 3]), model.tensor([2, 3]), model.tensor([3, 2]), model.tensor([3, 2])
    model.operator("RELU", [x], [z])
    model.operator("TRANSPOSE", [z, model.constant([1, 0])], [t], table="TransposeOptions")
    model.operator(
        "FULLY_CONNECTED", [t, model.tensor([2, 2], data=np.ones((2, 2), np.int8)), -1], [y],
        table="FullyConnectedOptions",
    )  # fmt: skip
    with pytest.raises(OperatorUnsupported, match="TRANSPOSE"):
        build_network(model.finish([x], [y]))


def test_the_weights_of_a_dense_layer_keep_their_place_for_other_readers() -> None:
    """Two dense layers share their weights; only one of them reads a transposed tensor."""
    model = Flat()
    x, z = model.tensor([1, 2, 3]), model.tensor([1, 2, 3])
    model.operator("RELU", [x], [z])
    t, flat, other = model.tensor([1, 3, 2]), model.tensor([1, 6]), model.tensor([1, 6])
    model.operator("TRANSPOSE", [z, model.constant([0, 2, 1])], [t], table="TransposeOptions")
    model.operator("RESHAPE", [t, model.constant([1, 6])], [flat], table="ReshapeOptions")
    model.operator("RESHAPE", [z, model.constant([1, 6])], [other], table="ReshapeOptions")
    w = model.tensor([2, 6], data=np.arange(12, dtype=np.int8).reshape(2, 6))
    a, b = model.tensor([1, 2]), model.tensor([1, 2])
    for source, target in ((flat, a), (other, b)):
        model.operator("FULLY_CONNECTED", [source, w, -1], [target], table="FullyConnectedOptions", version=4)
    first, second = (op for op in plan_of(model.finish([x], [a, b])) if isinstance(op, FullyConnected))
    assert first.weights != second.weights
