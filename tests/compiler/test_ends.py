# SPDX-License-Identifier: Apache-2.0
"""Where a model begins and ends: other types at its ends, files from trees and URLs, what does not hold together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from reconciler.compiler.errors import BuildFailed, DoesNotFit, ModelUnreadable, OperatorUnsupported
from reconciler.compiler.pack.pack_format import SectionId, decode_io, disassemble
from reconciler.compiler.recipe import GateSpec, Recipe, recipe_of
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.source_fetcher import SourceUnavailable, fetcher
from reconciler.compiler.tflite.model_archives import unpack
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.load import DirectoryTree
from reconciler.model import (
    Decide,
    DeviceType,
    Digest,
    Gate,
    Model,
    ModelRef,
    ModelSource,
    QuantizeSpec,
    TypeId,
    Version,
)
from tests.compiler.flatbuilder import Model as Flat
from tests.compiler.recipes import TARGET, Files
from tests.compiler.test_hostile import zipped


def dense(kind: str) -> bytes:
    """A dense layer between conversions from and to another type."""
    model = Flat()
    scale, zero = 0.05, 3
    source = model.tensor([1, 6], scale, zero + 128 if kind == "UINT8" else 0, kind=kind)
    x, y = model.tensor([1, 6], scale, zero), model.tensor([1, 6], 0.07, -4)
    target = model.tensor([1, 6], 0.07, -4 + 128 if kind == "UINT8" else 0, kind=kind)
    weights = np.eye(6, dtype=np.int8) * 50  # half: the larger the signal, the worse its reconstruction
    w = model.tensor([6, 6], 0.01, data=weights)
    model.operator("QUANTIZE", [source], [x], table="QuantizeOptions")
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions", version=4)
    model.operator(
        "DEQUANTIZE" if kind == "FLOAT32" else "QUANTIZE", [y], [target], version=2 if kind == "FLOAT32" else 1
    )
    return model.finish([source], [target])


@pytest.mark.parametrize("kind", ["FLOAT32", "UINT8"])
def test_another_type_at_the_ends_is_cut_off(kind: str) -> None:
    data = dense(kind)
    network = build_network(data)
    assert len(network.notes) == 2
    inputs, outputs = decode_io(disassemble(network.data).section(SectionId.IO))
    assert [inputs[0].zero_point, outputs[0].zero_point] == [3, -4]
    oracle, reference = Oracle(data), ReferenceInterpreter(network.data)
    for seed in range(5):
        x = np.random.default_rng(seed).integers(-128, 128, 6)
        (ours,) = reference.run([x.astype(np.int8).tobytes()]).outputs
        if kind == "UINT8":
            theirs = oracle.run([(x + 128).astype(np.uint8)])[0].astype(int) - 128
        else:
            given = ((x - inputs[0].zero_point) * inputs[0].scale).astype(np.float32)
            theirs = (
                np.rint(oracle.run([given])[0].astype(np.float64) / outputs[0].scale).astype(int)
                + outputs[0].zero_point
            )
        assert np.frombuffer(ours, np.int8).tolist() == theirs.reshape(-1).tolist()


@pytest.mark.parametrize("kind", ["FLOAT32", "UINT8"])
def test_such_a_model_is_judged_in_real_units(kind: str) -> None:
    files = Files()
    rows = np.random.default_rng(1).normal(0, 1, (40, 6))
    rows[20:] *= 4
    text = "\n".join(
        [",".join("abcdef") + ",label"] + [",".join(f"{v:.4f}" for v in r) + f",{i // 20}" for i, r in enumerate(rows)]
    )
    data = files.add("judged.csv", text.encode())
    recipe = Recipe(
        "echo@1",
        files.add("m.tflite", dense(kind)),
        TARGET,
        decide=Decide.RECONSTRUCTION,
        parameters={"threshold": 0.5},
        gates=(GateSpec("auc", at_least=0.6, data=data),),
    )
    report = run_job(BuildJob(recipe, files.by_digest)).report
    assert [gate.metric for gate in report.gates] == ["pack_bytes", "arena_bytes", "golden_vectors", "auc"]
    assert len(report.notes) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"decide": Decide.RECONSTRUCTION}, "needs the parameter threshold"),
        ({"parameters": {"threshold": 1.0}}, "spec.decide that uses it"),
        ({"decide": Decide.THRESHOLD, "parameters": {"threshold": 1e6}}, "lies outside"),
        ({"gates": (GateSpec("agreement", at_least=0.5),)}, "needs data"),
    ],
)
def test_thresholds_and_decisions_go_together(changes: dict[str, object], says: str) -> None:
    files = Files()
    recipe = Recipe("echo@1", files.add("m.tflite", dense("FLOAT32")), TARGET, **changes)  # type: ignore[arg-type]  # a test's shorthand
    with pytest.raises(BuildFailed, match=says):
        run_job(BuildJob(recipe, files.by_digest))


def test_a_kind_of_file_that_is_not_taken_is_named() -> None:
    files = Files()
    with pytest.raises(ModelUnreadable, match=r"m\.onnx is of no kind that is taken: \.tflite, \.keras"):
        run_job(BuildJob(Recipe("m@1", files.add("m.onnx", b"x"), TARGET), files.by_digest))


# ---------------------------------------------------------------- models that don't hold together


def _relu(shape: list[int], **source: object) -> bytes:
    model = Flat()
    x, y = model.tensor(shape, **source), model.tensor(shape)  # type: ignore[arg-type]  # a test's shorthand
    model.operator("RELU", [x], [y])
    return model.finish([x], [y])


def _fused(activation: int) -> bytes:
    model = Flat()
    x, z, y = (model.tensor([1, 4]) for _ in range(3))
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


CASES: list[tuple[Callable[[], bytes], type[Exception], str]] = [
    (lambda: _relu([1, 1, 2, 2, 2]), OperatorUnsupported, "too many dims"),
    (lambda: _relu([1, 70000]), OperatorUnsupported, "too many dims"),
    (lambda: _relu([4], scale=[0.1, 0.2, 0.3, 0.4]), ModelUnreadable, "not quantized with one scale"),
    (lambda: _relu([4], scale=float("nan")), ModelUnreadable, "not quantized with one scale"),
    (lambda: _relu([4], zero_point=300), OperatorUnsupported, "zero point 300"),
    (lambda: _fused(4), OperatorUnsupported, "fused activation 4 is not supported"),
    (_reshaped, OperatorUnsupported, "changes the scale"),
    (lambda: _weights("INT8", 5), OperatorUnsupported, "symmetric weights"),
    (lambda: _weights("FLOAT32", 0), OperatorUnsupported, "quantize the whole model"),
    (_pooled, OperatorUnsupported, "pooling changes the scale"),
    (_joined, OperatorUnsupported, "other scales than the output"),
    (_overflowing, DoesNotFit, "more than 32 bits hold"),
]


@pytest.mark.parametrize(("make", "error", "says"), CASES)
def test_a_model_that_packs_can_not_hold_says_why(make: Callable[[], bytes], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        build_network(make())


# ---------------------------------------------------------------- files


BOARD = DeviceType(TypeId("board"), "cortex-m4", 65536, 32768, frozenset({"CONV_2D"}), labels={"clock-mhz": "64"})


def test_a_clock_that_is_no_number_is_refused() -> None:
    source = ModelSource(Digest("0" * 64), path="m.tflite")
    assert recipe_of(_model(source, source), BOARD).target.clock_mhz == 64.0
    with pytest.raises(BuildFailed, match="not a number of MHz"):
        recipe_of(_model(source, source), replace(BOARD, labels={"clock-mhz": "fast"}))


def _model(source: ModelSource, data: ModelSource) -> Model:
    return Model(
        ModelRef("m", Version("1")), source, quantize=QuantizeSpec(representative=data), gates=(Gate("auc", data=data),)
    )


def test_files_come_from_the_tree_or_from_a_url(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.tflite").write_bytes(b"model")
    with fsspec.open("memory://data.npy", "wb") as stream:
        stream.write(b"samples")
    named = {name: Digest(hashlib.sha256(data).hexdigest()) for name, data in (("m", b"model"), ("d", b"samples"))}
    model = _model(ModelSource(named["m"], path="models/m.tflite"), ModelSource(named["d"], url="memory://data.npy"))
    fetch = fetcher(model, DirectoryTree(tmp_path))
    assert [fetch(file) for file in recipe_of(model, BOARD).files()] == [b"model", b"samples", b"samples"]


def test_a_file_that_is_not_there_is_told_apart_from_a_server_that_is_away(tmp_path: Path) -> None:
    gone = ModelSource(Digest("0" * 64), path="models/gone.tflite")
    away = ModelSource(Digest("1" * 64), url="memory://nowhere.npy")
    model = _model(gone, away)
    fetch = fetcher(model, DirectoryTree(tmp_path))
    first, second, _ = recipe_of(model, BOARD).files()
    with pytest.raises(BuildFailed, match=r"no file models/gone\.tflite"):
        fetch(first)
    with pytest.raises(SourceUnavailable):
        fetch(second)


def test_an_archive_is_unpacked_where_it_should_be(tmp_path: Path) -> None:
    unpack("m.zip", zipped(saved_model__pb=b"graph", readme__txt=b"x"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["readme.txt", "saved_model.pb"]
