# SPDX-License-Identifier: Apache-2.0
"""Builds from `.keras` files and SavedModels, which TensorFlow converts in the build subprocess."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reconciler.compiler.errors import BuildFailed, ModelUnreadable, OperatorUnsupported
from reconciler.compiler.recipe import GateSpec, Recipe
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.model import Decide
from tests.compiler.recipes import TARGET, Files

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra `build`"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run(
        [sys.executable, "-m", "tests.compiler.make_keras_models", str(folder)],
        check=True, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    for name in ("saved", "spy"):
        shutil.make_archive(str(folder / name), "zip", folder / name)
    return folder


def rows(count: int, width: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(2).normal(0, 1, (count, width)).astype(np.float32))
    return buffer.getvalue()


def recipe(files: Files, path: Path, width: int, **changes: object) -> Recipe:
    data = files.add("samples.npy", rows(40, width))
    settings: dict[str, object] = {
        "model": "net@1",
        "source": files.add(path.name, path.read_bytes()),
        "target": TARGET,
        "representative": data,
        "gates": (
            GateSpec("agreement", at_least=0.8, data=data),
            GateSpec("mean_absolute_error", at_most=0.1, data=data),
        ),
    }
    return Recipe(**{**settings, **changes})  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("name", "width", "operators"),
    [
        ("one.keras", 32, {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "MEAN", "AVERAGE_POOL_2D", "LOOKUP"}),
        ("two.keras", 768, {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL", "PAD", "MAX_POOL_2D", "CONCATENATION"}),
        ("saved.zip", 768, {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL", "PAD", "MAX_POOL_2D", "CONCATENATION"}),
    ],
)
def test_a_float_model_is_built(models: Path, name: str, width: int, operators: set[str]) -> None:
    files = Files()
    built = run_job(BuildJob(recipe(files, models / name, width, decide=Decide.ARGMAX), files.by_digest))
    assert operators <= set(built.report.operators)
    assert all(gate.passed for gate in built.report.gates)


def test_conversion_is_reproducible(models: Path) -> None:
    files = Files()
    job = BuildJob(recipe(files, models / "one.keras", 32), files.by_digest)
    assert run_job(job) == run_job(job)


def test_a_lambda_layer_is_refused_before_tensorflow_loads_it(models: Path) -> None:
    files = Files()
    with pytest.raises(ModelUnreadable, match="which carries code"):
        run_job(BuildJob(recipe(files, models / "lambda.keras", 4), files.by_digest))


def test_a_saved_model_that_reads_files_is_refused(models: Path) -> None:
    files = Files()
    with pytest.raises(ModelUnreadable, match="effects outside of the model: ReadFile"):
        run_job(BuildJob(recipe(files, models / "spy.zip", 4, gates=()), files.by_digest))


def test_a_recurrent_model_is_refused_with_advice(models: Path) -> None:
    files = Files()
    with pytest.raises(OperatorUnsupported, match="a layer LSTM, of which TensorFlow makes a loop"):
        run_job(BuildJob(recipe(files, models / "lstm.keras", 16, gates=()), files.by_digest))


def test_a_float_model_without_data_is_refused(models: Path) -> None:
    files = Files()
    with pytest.raises(BuildFailed, match=r"name representative data in spec\.quantize"):
        run_job(BuildJob(recipe(files, models / "one.keras", 32, representative=None, gates=()), files.by_digest))


def test_data_of_the_wrong_width_is_refused(models: Path) -> None:
    files = Files()
    with pytest.raises(BuildFailed, match="has 31 values"):
        run_job(BuildJob(recipe(files, models / "one.keras", 31, gates=()), files.by_digest))


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_keras_file_is_refused(models: Path, tmp_path: Path, keep: float) -> None:
    whole = (models / "one.keras").read_bytes()
    path = tmp_path / "one.keras"
    path.write_bytes(whole[: int(len(whole) * keep)])
    files = Files()
    with pytest.raises(ModelUnreadable):
        run_job(BuildJob(recipe(files, path, 32), files.by_digest))


def test_damaged_weights_are_refused(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.keras"
    with zipfile.ZipFile(models / "one.keras") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, content[: len(content) // 2] if member.endswith(".h5") else content)
    files = Files()
    with pytest.raises(ModelUnreadable, match="TensorFlow cannot load"):
        run_job(BuildJob(recipe(files, path, 32), files.by_digest))
