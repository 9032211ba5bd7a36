# SPDX-License-Identifier: Apache-2.0
"""Built-ins and requests of device types: what they become, and what could never work."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reconciler.model import TypeId, ValueElement
from reconciler.review.document_diff import ChangeKind, DocumentChange, differences
from tests.load.repo import Repo

TYPE = """spec:
  architecture: cortex-m4
  slotBytes: 65536
  arenaBytes: 32768
  operators: [THRESHOLD]
  builtins:
    - number: 1
      operation: sense.window
      outputs: [{name: window, dtype: int16, shape: [32]}]
      idempotent: true
    - {number: 2, operation: output.set, inputs: [{name: level, dtype: uint8, shape: [1]}]}
  requests:
    - {number: 1, operation: data.put.windows, inputs: [{name: window, dtype: int16, shape: [32]}]}
    - {number: 2, operation: features.rms, inputs: [{name: window, dtype: int16, shape: [8, 3]}]}
"""
NODE = """spec:
  selector: {}
  node:
    functions: {}
    storage:
      buckets: [{name: windows, descriptor: {dtype: int16, shape: [32]}}]
"""
MODULE = b"(module)"
FUNCTION = """spec:
  version: "1.0.0"
  operation: features.rms
  source: {path: functions/rms.wat, sha256: 'DIGEST'}
  inputs: [{name: window, dtype: int16, shape: [null, 3]}]
  outputs: [{name: rms, dtype: int32, shape: [3]}]
  needs: {operations: [sense.window.pump-1]}
""".replace("DIGEST", hashlib.sha256(MODULE).hexdigest())


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path)
    repo.write("gateways.yaml", repo.document("Gateway", "hall", NODE))
    repo.write_bytes("functions/rms.wat", MODULE)
    repo.write("functions/rms.yaml", repo.document("Function", "rms", FUNCTION))
    repo.write("devices.yaml", repo.document("Device", "pump-1", "spec: {type: board, link: {mqtt: {}}}\n"))
    return repo.write("type.yaml", repo.document("DeviceType", "board", TYPE))


def test_they_become_values(repo: Repo) -> None:
    desired = repo.load().desired
    assert desired is not None
    sense, output = desired.types[TypeId("board")].builtins
    assert (sense.number, sense.operation, sense.idempotent) == (1, "sense.window", True)
    assert (sense.outputs[0].dtype, sense.outputs[0].shape) == (ValueElement.INT16, (32,))
    assert (output.outputs, output.idempotent) == ((), False)
    stored, _ = desired.types[TypeId("board")].requests
    assert (stored.number, stored.operation) == (1, "data.put.windows")


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("sense.window", "data.window", "builtins[0].operation", "`data.window` is reserved"),
        ("sense.window", "window", "builtins[0].operation", "`window` is not allowed"),
        ("number: 2, operation: output", "number: 1, operation: output", "builtins[1].number", "duplicate number 1"),
        ("output.set", "sense.window", "builtins[1].operation", "duplicate operation `sense.window`"),
        ("number: 1\n", "number: 256\n", "builtins[0].number", "256"),
        ("[1]}]}", "[601]}]}", "builtins[1].inputs", "these values have 601 bytes"),
        ("[1]}]}", "[null, null]}]}", "builtins[1].inputs", "2 dimensions have any size"),
        ("data.put.windows", "data.put.window", "requests[0].operation", "nothing in the fleet is the operation"),
        ("number: 2, operation: f", "number: 1, operation: f", "requests[1].number", "duplicate number 1"),
        ("[8, 3]", "[8, 4]", "requests[1].inputs", "inputs[0].shape[1]: expected 3, got 4"),
        ("int16, shape: [32]}]}", "uint8, shape: [32]}]}", "requests[0].inputs", "expected int16, got uint8"),
        ("  operators", "  runtime: micropython\n  operators", "builtins", "MicroPython has no operations"),
    ],
)
def test_what_could_never_work_is_reported(repo: Repo, old: str, new: str, path: str, message: str) -> None:
    problems = repo.replace("type.yaml", old, new).load().problems
    paths = [each.json_path for each in problems if message in each.message]
    assert paths[:1] == [f"$.spec.{path}"], problems


def test_a_function_has_another_name(repo: Repo) -> None:
    problems = repo.replace("functions/rms.yaml", "features.rms", "output.set.pump-1").load().problems
    assert "the function `rms` is the operation `output.set.pump-1` already" in [each.message for each in problems]


def test_a_change_of_them_is_a_change_of_the_type(repo: Repo) -> None:
    before, after = (
        repo.load().desired,
        repo.replace("type.yaml", "idempotent: true", "idempotent: false").load().desired,
    )
    assert before is not None
    assert after is not None
    assert differences(before, after) == (
        DocumentChange("DeviceType", "board", ChangeKind.CHANGED, ("builtins",)),
    )  # fmt: skip
