# SPDX-License-Identifier: Apache-2.0
"""`make bench-models` accepts or refuses every model of a folder, and compares what it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.models import INPUTS, equal_inferences, main
from reconciler.compiler.tflite.network_pack import build_network
from tests.compiler.sample_models import add_network, dense
from tests.compiler.tflite_builder import Model


def _unsupported() -> bytes:
    model = Model()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    model.operator("SUB", [x, x], [y], table="SubOptions")
    return model.finish([x], [y])


def test_every_model_of_a_folder_is_exact_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "dense.tflite").write_bytes(dense("FLOAT32"))
    (tmp_path / "add.lite").write_bytes(add_network(lambda _model: None))
    (tmp_path / "sub.tflite").write_bytes(_unsupported())
    (tmp_path / "torn.tflite").write_bytes(dense("UINT8")[:100])
    (tmp_path / "notes.txt").write_text("not a model")
    assert main([tmp_path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"add.lite: exact: {INPUTS} of {INPUTS} equal, ")
    assert lines[1].startswith(f"good/dense.tflite: exact: {INPUTS} of {INPUTS} equal, ")
    assert lines[2].startswith("sub.tflite: refused: OperatorUnsupported: operator 0 (SUB) is not supported: ")
    assert lines[3].startswith("torn.tflite: refused: ModelUnreadable: ")
    assert lines[4:] == ["models_read=4", "models_exact=2", "models_different=0", "models_refused=2"]


def test_a_pack_of_another_model_differs() -> None:
    other = add_network(lambda model: setattr(model._graph.tensors[0].quantization, "scale", [0.3]))
    assert equal_inferences(add_network(lambda _model: None), build_network(other).data)[0] < INPUTS


def test_a_folder_without_models_fails(tmp_path: Path) -> None:
    assert main([tmp_path]) == 1
