# SPDX-License-Identifier: Apache-2.0
"""ONNX models: what onnx2tf makes of one is exact, the program is run safely, and refusals say what to do.

tests/compiler/onnx has a small model (convolution, depthwise convolution, Flatten, Gemm, Softmax) and what onnx2tf
1.29.24 made of it. `TINYFLEET_ONNX2TF=onnx2tf/bin/onnx2tf` runs the program itself.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.compiler.errors import BuildFailed, ModelUnreadable
from reconciler.compiler.foreign_models import saved_model_of_onnx
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.recipe import File, Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.recipes import TARGET

MODELS = Path(__file__).parent / "onnx"
TYPE = Path(__file__).resolve().parents[2] / "fleet-repo-example" / "device-types" / "vibration-wifi.yaml"
ONNX2TF = os.environ.get("TINYFLEET_ONNX2TF")


def make(tmp_path: Path, program: Path) -> Result:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.random.default_rng(3).normal(size=(20, 128)))
    names = ["--for", TYPE, "--onnx2tf", program, "--data", rows, "--decide", "argmax", "--out", tmp_path / "m.pack"]
    return CliRunner().invoke(cli, [str(each) for each in ("pack", "make", MODELS / "small.onnx", *names)])


def program(folder: Path, *lines: str) -> Path:
    """Return a program that is called like onnx2tf: $2 is the model, $4 the folder for the SavedModel."""
    path = folder / "converter"
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return path


def test_a_model_that_onnx2tf_has_quantized_is_exact() -> None:
    model = (MODELS / "small.tflite").read_bytes()
    oracle, reference = Oracle(model), ReferenceInterpreter(build_network(model).data)
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = rng.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
        assert list(reference.run([x.tobytes()]).outputs) == [out.tobytes() for out in oracle.run([x])]


@pytest.mark.build
def test_a_pack_is_made_of_the_saved_model(tmp_path: Path) -> None:
    stand_in = program(
        tmp_path, f"cmp -s \"$2\" '{MODELS}/small.onnx' && python3 -m zipfile -e '{MODELS}/small.zip' \"$4\""
    )
    result = make(tmp_path, stand_in)
    assert result.exit_code == 0, result.output
    assert "puts the channels of inputs last" in result.output
    check_pack((tmp_path / "m.pack").read_bytes())


@pytest.mark.build
@pytest.mark.skipif(ONNX2TF is None, reason="set TINYFLEET_ONNX2TF to the program onnx2tf")
def test_onnx2tf_itself(tmp_path: Path) -> None:
    result = make(tmp_path, Path(ONNX2TF or ""))
    assert result.exit_code == 0, result.output
    check_pack((tmp_path / "m.pack").read_bytes())


def test_the_archive_holds_the_saved_model_alone_and_no_dates(tmp_path: Path) -> None:
    made = 'mkdir -p "$4/variables" && touch "$4/saved_model.pb" "$4/variables/index" "$4/model_float32.tflite"'
    one, other = (saved_model_of_onnx(program(tmp_path, made), "m.onnx", b"x") for _ in range(2))
    assert one == other
    assert zipfile.ZipFile(BytesIO(one)).namelist() == ["saved_model.pb", "variables/index"]


def test_what_the_program_says_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match=r"cannot convert m\.onnx: Unsupported operator Loop$"):
        saved_model_of_onnx(program(tmp_path, "echo 'Unsupported operator Loop' >&2", "exit 3"), "m.onnx", b"x")
    with pytest.raises(ModelUnreadable, match=r"cannot convert m\.onnx: it wrote no SavedModel"):
        saved_model_of_onnx(program(tmp_path, "exit 0"), "m.onnx", b"x")
    with pytest.raises(BuildFailed, match="cannot be run: No such file"):
        saved_model_of_onnx(tmp_path / "nothing", "m.onnx", b"x")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("pump.onnx", r"convert it: tinyfleet pack make pump\.onnx --onnx2tf PROGRAM \(docs/build\.md"),
        ("pump.pt", r"export it with torch\.onnx\.export to pump\.onnx, and convert that: tinyfleet pack make"),
        ("pump.PTH", r"export it with torch\.onnx\.export"),
        ("pump.h5", r"save it again in the format of Keras, as pump\.keras"),
        ("pump.bin", "has an unknown file type"),
    ],
)
def test_a_file_of_another_framework_is_refused_with_what_to_do(name: str, advice: str) -> None:
    data = (MODELS / "small.onnx").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    recipe = Recipe(model="pump@1.0.0", source=File(name, digest), target=TARGET)
    with pytest.raises(ModelUnreadable, match=advice):
        run_job(BuildJob(recipe, {digest: data}))
