# SPDX-License-Identifier: Apache-2.0
"""Hostile model files end in a clear error, quickly, and none of their code is run."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.datasets import read_dataset
from reconciler.compiler.errors import BuildFailed, ModelUnreadable, OperatorUnsupported
from reconciler.compiler.forest.ensemble import ensemble_from_json
from reconciler.compiler.tflite.graph_reader import read_graph
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.untrusted_archives import check_keras, check_operations, unpack
from tests.compiler.make_vectors import _conv
from tests.compiler.tflite_builder import Model

GOOD = _conv(depthwise=False, padding=0, stride=1)


class Trap:
    """Unpickling this would create a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("trapped"),)  # type: ignore[return-value]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_flatbuffer_is_built_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
    try:
        build_network(bytes(damaged))
    except BuildFailed:
        return


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, len(GOOD) - 1))
def test_a_truncated_flatbuffer_is_refused(cut: int) -> None:
    with pytest.raises(ModelUnreadable):
        read_graph(GOOD[:cut])


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelUnreadable):
        read_graph(b"\x1c\0\0\0TFL3" + data)


def test_absurd_shapes_are_refused() -> None:
    model = Model()
    x, y = model.tensor([1, 30000, 30000, 1]), model.tensor([1, 30000, 30000, 1])
    model.operator("RELU", [x], [y])
    with pytest.raises(ModelUnreadable, match="shape"):
        read_graph(model.finish([x], [y]))


def test_a_cycle_is_refused() -> None:
    model = Model()
    x, a, b = (model.tensor([1, 4]) for _ in range(3))
    model.operator("ADD", [x, b], [a], table="AddOptions")
    model.operator("ADD", [x, a], [b], table="AddOptions")
    with pytest.raises(ModelUnreadable, match="before any operator writes it"):
        build_network(model.finish([x], [b]))


def test_two_operators_that_write_one_tensor_are_refused() -> None:
    model = Model()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("RELU", [x], [y])
    model.operator("RELU", [x], [y])
    with pytest.raises(ModelUnreadable, match="is written twice"):
        build_network(model.finish([x], [y]))


def test_an_unsupported_operator_is_refused_with_its_location_and_advice() -> None:
    model = Model()
    x, y, z = (model.tensor([1, 4]) for _ in range(3))
    model.operator("RELU", [x], [y])
    model.operator("SUB", [y, x], [z], table="SubOptions")
    with pytest.raises(OperatorUnsupported, match=r"operator 1 \(SUB\) is not supported: fold the subtraction"):
        build_network(model.finish([x], [z]))


def test_a_float_model_is_refused_with_advice_to_quantize() -> None:
    model = Model()
    x, y = model.tensor([1, 4], kind="FLOAT32"), model.tensor([1, 4], kind="FLOAT32")
    model.operator("RELU", [x], [y])
    with pytest.raises(OperatorUnsupported, match="quantize the whole model to full int8"):
        build_network(model.finish([x], [y]))


@pytest.mark.parametrize("name", ["forest.pkl", "data.csv", "model.joblib", "data.npy"])
def test_a_pickle_is_refused_with_the_reason(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnreadable, match="is a pickle: reading one runs the code in it"):
        read_dataset(name, pickle.dumps(Trap()))
    assert not list(tmp_path.iterdir())


def test_an_array_of_objects_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ModelUnreadable):
        read_dataset("x.npy", buffer.getvalue())


def test_an_array_that_declares_a_huge_shape_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(4))
    claimed = buffer.getvalue().replace(b"(4,)", b"(9999999999999,)"[:4].ljust(4))
    header = (
        buffer.getvalue()[:10]
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(117)
        + b"\n"
    )
    for data in (claimed, header + bytes(32)):
        with pytest.raises(ModelUnreadable):
            read_dataset("x.npy", data)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n", "a,b\n1,x\n", "a,b\n1,nan\n", "a,b\n1,inf\n", 'a,b\n"1,2\n'])
def test_an_invalid_csv_is_refused(text: str) -> None:
    with pytest.raises(ModelUnreadable):
        read_dataset("x.csv", text.encode())


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zipped(config__json=b"{}", model__weights__h5=bytes(600 << 20))
    assert len(bomb) < 1 << 20
    with pytest.raises(ModelUnreadable, match="may be a zip bomb"):
        check_keras("m.keras", bomb)


def test_a_zip_that_lies_about_its_sizes_is_refused() -> None:
    bomb = bytearray(zipped(config__json=b"{}", model__weights__h5=bytes(4 << 20)))
    true, false = (4 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")
    with pytest.raises(ModelUnreadable):
        check_keras("m.keras", bytes(bomb.replace(true, false)))


@pytest.mark.parametrize("name", ["../../etc/cron", "/etc/passwd", "a/../../b"])
def test_a_zip_that_would_write_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelUnreadable, match="would be outside of its folder"):
        unpack("m.zip", buffer.getvalue(), tmp_path / "in")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "Lambda", "config": {"name": "twice"}}, "layer 'twice' is a Lambda, which carries code"),
        ({"layers": [{"config": {"fn": {"class_name": "__lambda__", "config": {"value": "AAA"}}}}]}, "carries code"),
        ({"class_name": "Popen", "module": "subprocess", "config": {}}, "'subprocess' is not part of Keras"),
        ({"class_name": "TFSMLayer", "module": "keras.layers", "config": {}}, "carries code"),
    ],
)
def test_layers_with_code_are_refused(config: object, message: str) -> None:
    with pytest.raises(ModelUnreadable, match=message):
        check_keras("m.keras", zipped(config__json=json.dumps(config).encode()))


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100000, b'{"a":' * 500 + b"1" + b"}" * 500])
def test_an_unreadable_config_is_refused(raw: bytes) -> None:
    with pytest.raises(ModelUnreadable):
        check_keras("m.keras", zipped(config__json=raw))


def test_a_graph_that_reaches_outside_is_refused() -> None:
    check_operations("m.zip", {"MatMul", "Conv2D", "SaveV2", "RestoreV2", "StatefulPartitionedCall"})
    for operation in (
        "ReadFile",
        "WriteFile",
        "EagerPyFunc",
        "TensorDataset",
        "PrintV2",
        "HashTableV2",
        "LookupTableFindV2",
    ):
        if operation == "HashTableV2":
            continue  # an empty table is harmless; one that is filled from a file is not
        with pytest.raises(ModelUnreadable, match="effects outside of the model"):
            check_operations("m.zip", {"MatMul", operation})


TREE = {"feature": [0, 0, 0], "threshold": [1.5, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1], "value": [9, 1, 3]}
FOREST = {"format": "tinyfleet-forest/1", "mode": "isolation", "features": 2, "subsample": 10, "trees": [TREE]}


@pytest.mark.parametrize(
    "changes",
    [
        {"left": [0, -1, -1]},
        {"left": [5, -1, -1]},
        {"right": [1, -1, -1]},
        {"right": [-1, -1, -1]},
        {"feature": [2, 0, 0]},
        {"threshold": [float("nan"), 0, 0]},
        {"value": [1]},
        {"left": []},
        {"left": ["x", 1, 2]},
    ],
)
def test_invalid_trees_are_refused(changes: dict[str, object]) -> None:
    ensemble_from_json(json.dumps(FOREST).encode())
    with pytest.raises(ModelUnreadable):
        ensemble_from_json(json.dumps({**FOREST, "trees": [{**TREE, **changes}]}).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda c: st.lists(c) | st.dictionaries(st.text(max_size=9), c)
    )
)
def test_any_other_json_is_refused_with_one_error(document: object) -> None:
    with pytest.raises(ModelUnreadable):
        ensemble_from_json(json.dumps(document).encode())
