# SPDX-License-Identifier: Apache-2.0
"""Models, trees, archives and sections that a build refuses: each for its own reason, said in its own words."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import BuildFailed, DoesNotFit, ModelUnreadable, OperatorUnsupported, PackMalformed
from reconciler.compiler.evaluation.cost_model import estimate
from reconciler.compiler.datasets import Dataset, read_dataset
from reconciler.compiler.evaluation.metrics import Evaluation, measure
from reconciler.compiler.forest.ensemble import from_json
from reconciler.compiler.forest.training import grow, grow_from
from reconciler.compiler.pack import fixed_point
from reconciler.compiler.pack.decision_head import decode_head
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.pack_format import (
    LONGEST_SECTION,
    MOST_PARAMETERS,
    Pack,
    PackKind,
    Parameter,
    ParameterEncoding,
    SectionId,
    assemble,
    decode_io,
    decode_parameters,
    disassemble,
    encode_parameters,
)
from reconciler.compiler.pack.parameter_encoding import encode_values
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors
from reconciler.compiler.pack.threshold import build_threshold_pack, check_threshold
from reconciler.compiler.payload.codec import EncodedPayload, decode
from reconciler.compiler.payload.codec import PayloadEncoding as Packed
from reconciler.compiler.payload.patch import apply_patch
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.engine_runner import FIRMWARE_VARIABLE, ExecutionTarget, make_request, runner_is_built, runner_program
from reconciler.compiler.tflite import model_archives
from reconciler.compiler.tflite import graph_reader
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.model import TrainSpec
from tests.compiler.flatbuilder import Model as Flat
from tests.compiler.test_hostile import FOREST, TREE, zipped

# ---------------------------------------------------------------- networks


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
    ("make", "says"),
    [
        (lambda: _dense(scale=[0.1, 0.2, 0.3]), "weights have 3 scales for 2 channels"),
        (lambda: _dense(shuffled=1), "shuffled weights"),
        (lambda: _dense(width=5), "weights 2 by 4 don't match 5 inputs"),
        (_depthwise, "4 filters don't match 3 channels"),
        (lambda: _reduced(3), "only height and width can be reduced"),
        (lambda: _padded(-1), "negative paddings crop"),
        (_joined_and_activated, "a fused activation on a concatenation"),
        (lambda: _added(1e-9), "the output's scale is far too small"),
        (lambda: _softmax(0.1, 0.1), "the output must have scale 1/256"),
        (lambda: _softmax(1e-12, 1 / 256), "the input's scale .* is too small"),
        (_two_outputs, "has 2 outputs; packs know one"),
        (_padded_by_what_is_computed, "input 1 must be a constant"),
        (_grown, "can't be seen as"),
        (_nothing_computed, "nothing to compute"),
    ],
)
def test_an_operator_that_packs_do_not_know_so(make: Callable[[], bytes], says: str) -> None:
    with pytest.raises(OperatorUnsupported, match=says):
        build_network(make())


def test_padding_with_a_constant_is_what_the_oracle_makes_of_it() -> None:
    data = _padded(1, fill=7)
    pixels = np.arange(4, dtype=np.int8)
    (ours,) = ReferenceInterpreter(build_network(data).data).run([pixels.tobytes()]).outputs
    (theirs,) = Oracle(data).run([pixels.reshape(1, 2, 2, 1)])
    assert np.frombuffer(ours, np.int8).tolist() == theirs.reshape(-1).tolist() == [7, 7, 0, 1, 2, 3]


def test_an_operator_whose_output_nobody_reads_is_left_out() -> None:
    model = Flat()
    x, y, dead = model.tensor([1, 4]), model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("RELU", [x], [dead])
    model.operator("RELU", [x], [y])
    plan = decode_plan(disassemble(build_network(model.finish([x], [y])).data).section(SectionId.PLAN))
    assert len(plan) == 1


# ---------------------------------------------------------------- files of networks


def _spoiled(spoil: Callable[[Flat], None], inputs: list[int] | None = None, outputs: list[int] | None = None) -> bytes:
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    w = model.tensor([4], data=np.ones(4, np.int8))
    model.operator("ADD", [x, w], [y], table="AddOptions")
    spoil(model)
    return model.finish(inputs or [x], outputs or [y])


def _sparse(model: Flat) -> None:
    model._graph.tensors[2].sparsity = schema.SparsityParametersT()


def _no_such_code(model: Flat) -> None:
    model._graph.operators[0].opcodeIndex = 9


def _too_little_data(model: Flat) -> None:
    model._graph.tensors[2].shape = [5]


def _made_by_nothing(model: Flat) -> None:
    model.tensor([1, 4])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: _spoiled(_sparse), "is sparse"),
        (lambda: _spoiled(_no_such_code), "operator code 9, which does not exist"),
        (lambda: _spoiled(_too_little_data), "has 4 bytes of data, its shape needs 5"),
        (lambda: _spoiled(lambda _model: None, outputs=[44]), "names tensor 44, which does not exist"),
        (lambda: _spoiled(_made_by_nothing, outputs=[3]), "nothing makes the output tensor 3"),
        (lambda: bytes(graph_reader.LARGEST_FILE + 1), "at most 67108864 are taken"),
    ],
)
def test_a_file_that_does_not_hold_together(data: Callable[[], bytes], says: str) -> None:
    with pytest.raises(ModelUnreadable, match=says):
        graph_reader.read_graph(data())


def test_a_custom_operator_is_named_by_its_own_name() -> None:
    def custom(model: Flat) -> None:
        code = model._model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"Teleport"
        model._graph.operators[0].builtinOptionsType = schema.BuiltinOptions.NONE
        model._graph.operators[0].builtinOptions = None

    with pytest.raises(OperatorUnsupported, match="CUSTOM Teleport"):
        build_network(_spoiled(custom))


def test_a_tensor_with_several_zero_points_has_no_one() -> None:
    tensor = graph_reader.Tensor(3, "x", (1, 4), "INT8", None, (0.1,), (1, 2), 0)
    with pytest.raises(ModelUnreadable, match="has 2 zero points, not one"):
        _ = tensor.zero_point
    with pytest.raises(ModelUnreadable, match="should be a constant of integers"):
        tensor.ints()


# ---------------------------------------------------------------- numbers


def test_multipliers_at_their_ends() -> None:
    assert fixed_point.quantize_multiplier(0.0) == (0, 0)
    assert fixed_point.quantize_multiplier(1.0 - 2.0**-40) == (1 << 30, 1)  # rounds up to the next power
    assert fixed_point.quantize_multiplier(2.0**-40) == (0, 0)
    assert fixed_point.quantize_multiplier(2.0**40) == (fixed_point.INT32_MAX, 30)


# ---------------------------------------------------------------- forests


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "other/1"}, "is not a forest"),
        ({"trees": []}, "no trees, or features, outputs or subsample out of range"),
        ({"subsample": 1}, "out of range"),
        (
            {"mode": "regression", "outputs": 2, "trees": [{**TREE, "value": [[1, 2]] * 3}]},
            "a forest for regression has one output",
        ),
        ({"trees": [{**TREE, "right": [2, -1]}]}, "differ in length"),
    ],
)
def test_a_document_that_is_no_forest(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ModelUnreadable, match=says):
        from_json(json.dumps({**FOREST, **changes}).encode())


def _table(columns: int) -> Dataset:
    rows = np.random.default_rng(1).normal(0, 100, (50, columns))
    return Dataset(tuple(f"c{number}" for number in range(columns)), rows)


@pytest.mark.parametrize(
    ("columns", "scheme", "parameters", "error", "says"),
    [
        (3, "float16", {}, BuildFailed, "int8 or int16, not float16"),
        (17, "int8", {}, DoesNotFit, "17 columns; a sample has at most 16 channels"),
        (3, "int8", {"gain": 1.0}, BuildFailed, "the parameter threshold, not gain"),
        (3, "int8", {"threshold": 1.5}, BuildFailed, "lies above 0 and at most at 1; 1.5 does not"),
    ],
)
def test_a_forest_that_can_not_be_grown(
    columns: int, scheme: str, parameters: dict[str, float], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        grow(_table(columns), TrainSpec("isolation-forest", 3), scheme=scheme, parameters=parameters)


def test_a_forest_that_was_given_has_limits_too() -> None:
    with pytest.raises(BuildFailed, match="int8 or int16, not float16"):
        grow_from(from_json(json.dumps(FOREST).encode()), scheme="float16", parameters={})
    with pytest.raises(DoesNotFit, match="17 features"):
        grow_from(from_json(json.dumps({**FOREST, "features": 17}).encode()), scheme="int8", parameters={})


def test_a_forest_without_jumps_is_estimated_by_all_its_nodes() -> None:
    grown = grow(_table(3), TrainSpec("isolation-forest", 3), scheme="int8", parameters={})
    pack = disassemble(grown.data)
    assert decode_forest(pack.section(SectionId.FOREST), 3).jump_bits == 0
    assert estimate(grown.data, "cortex-m4").instructions > 0


# ---------------------------------------------------------------- archives


def _archive(*members: zipfile.ZipInfo | str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    return made.getvalue()


def test_an_archive_of_too_many_files() -> None:
    with pytest.raises(ModelUnreadable, match="holds 257 files"):
        model_archives.open_archive("m.zip", _archive(*(f"f{number}" for number in range(257))))


def test_an_archive_with_a_link_in_it() -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ModelUnreadable, match="would lie elsewhere"):
        model_archives.open_archive("m.zip", _archive(link))


def test_folders_of_an_archive_are_made_by_what_is_in_them(tmp_path: Path) -> None:
    model_archives.unpack("m.zip", _archive("variables/", "variables/index"), tmp_path)
    assert (tmp_path / "variables" / "index").read_bytes() == b"x"


def test_a_member_that_is_larger_than_may_be() -> None:
    archive = model_archives.open_archive("m.zip", zipped(config=b"x" * 100))
    with pytest.raises(ModelUnreadable, match="unpacks to more than 50 bytes"):
        model_archives.read_member(archive, "config", 50)


def test_layers_that_can_not_be_run_are_named() -> None:
    config = {"layers": [7, {"class_name": "LSTM", "module": "keras.layers"}]}
    with pytest.raises(OperatorUnsupported, match="a layer is a LSTM; packs have no recurrent operators"):
        model_archives.check_keras("m.keras", zipped(config__json=json.dumps(config).encode()))
    harmless = {"layers": [7, {"class_name": "Dense", "module": "keras.layers"}]}
    model_archives.check_keras("m.keras", zipped(config__json=json.dumps(harmless).encode()))


# ---------------------------------------------------------------- sections of packs

ENTRY = Parameter(1, 0, -10, 10, ParameterEncoding.OUTPUT_VALUE)


def test_more_parameters_than_a_pack_has_room_for() -> None:
    with pytest.raises(DoesNotFit, match=f"a pack has at most {MOST_PARAMETERS}"):
        encode_parameters([ENTRY] * (MOST_PARAMETERS + 1))
    one = encode_parameters([ENTRY])
    for data in (one[:-1], one * (MOST_PARAMETERS + 1)):
        with pytest.raises(PackMalformed, match="not a whole number of entries, or too many"):
            decode_parameters(data)


def test_a_section_that_is_too_long() -> None:
    pack = disassemble(build_threshold_pack([1, 2], threshold=1))
    sections = {**pack.sections, SectionId.THRESHOLD: bytes(LONGEST_SECTION + 1)}
    with pytest.raises(DoesNotFit, match=f"a section holds at most {LONGEST_SECTION}"):
        assemble(Pack(PackKind.THRESHOLD, pack.arena_bytes, sections))


@pytest.mark.parametrize(
    ("read", "data", "says"),
    [
        (decode_io, b"\1", "IO is cut short"),
        (decode_tensors, b"", "TENSORS is not a whole number of records"),
        (decode_plan, b"\1", "PLAN is cut short"),
        (decode_head, b"\0", "HEAD has 1 bytes"),
        (lambda data: decode_forest(data, 3), b"\0", "FOREST is cut short"),
    ],
)
def test_sections_that_are_cut_short(read: Callable[[bytes], object], data: bytes, says: str) -> None:
    with pytest.raises(PackMalformed, match=says):
        read(data)


def test_a_threshold_section_is_held_to_its_rules() -> None:
    pack = disassemble(build_threshold_pack([1, 2], threshold=1))
    section = pack.section(SectionId.THRESHOLD)
    (source,), _ = decode_io(pack.section(SectionId.IO))
    with pytest.raises(PackMalformed, match="cut short"):
        check_threshold(section[:3], source, 1)
    count, index, shift, _ = struct.unpack_from("<HBBi", section)
    with pytest.raises(PackMalformed, match="could overflow"):
        check_threshold(struct.pack("<HBBi", count, index, shift, (1 << 31) - 1) + section[8:], source, 1)


def test_a_parameter_outside_of_what_the_model_allows() -> None:
    pack = build_threshold_pack([1, 2], threshold=1)
    entry = decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))[0]
    assert entry.most < 1e12
    with pytest.raises(BuildFailed, match=r"threshold: .* is outside what the model allows"):
        encode_values(pack, {"threshold": 1e12})


def test_inputs_of_another_size_are_refused() -> None:
    with pytest.raises(PackMalformed, match=r"inputs must have \[4\] bytes"):
        ReferenceInterpreter(build_threshold_pack([1, 2], threshold=1)).run([b"\0"])


# ---------------------------------------------------------------- payloads


def test_a_payload_that_makes_too_little() -> None:
    with pytest.raises(PackMalformed, match=r"makes \d+ bytes, not 100"):
        decode(EncodedPayload(Packed.HEATSHRINK, b"\0\0"), 100)


@pytest.mark.parametrize(
    ("operation", "says"), [(0x34, "a number of more than 24 bits"), (0x2C, "reads outside any source")]
)
def test_a_patch_that_would_never_end_or_reads_elsewhere(operation: int, says: str) -> None:
    with pytest.raises(PackMalformed, match=says):
        apply_patch(b"\x01" + bytes(5) + bytes([operation]) + bytes(64), b"", 100)


# ---------------------------------------------------------------- tables and runners


def test_a_table_without_its_label_has_rows_alone() -> None:
    assert read_dataset("t.csv", b"a,b\n1,2\n3,4\n", label="label").labels is None


def test_agreement_counts_decisions_where_there_are_some() -> None:
    outputs = np.zeros((4, 1))
    decisions = Evaluation(
        outputs, None, outputs, decisions=np.array([0.0, 1, 1, 0]), float_decisions=np.array([0.0, 1, 0, 0])
    )
    assert measure("agreement", decisions) == 0.75


def test_a_runner_that_is_not_built_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FIRMWARE_VARIABLE, str(tmp_path))
    assert not runner_is_built(ExecutionTarget.HOST)
    with pytest.raises(BuildFailed, match=r"is missing: run `make firmware-runner`"):
        runner_program(ExecutionTarget.HOST)


def test_a_request_has_inputs_of_one_length() -> None:
    pack = build_threshold_pack([1, 2], threshold=1)
    with pytest.raises(PackMalformed, match="the same length"):
        make_request(pack, [b"a", b"bc"])
    roomy = make_request(pack, [], arena_bytes=512)
    assert struct.unpack_from("<5I", roomy)[:4] == (len(pack), 512, 0, 0)
