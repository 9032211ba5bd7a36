# SPDX-License-Identifier: Apache-2.0
"""Functions and nodes: what they refer to, and what could never run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reconciler.load import Problem
from reconciler.model import BucketAccess, FunctionId, GatewayId, ValueElement
from reconciler.operations.placement import placement_of
from reconciler.plan.claims import Claims
from tests.load.repo import Repo

MODULE = b"(module)"
SPEC = """spec:
  version: "1.0.0"
  operation: features.rms
  source: {path: functions/rms.wat, sha256: 'DIGEST'}
  inputs: [{name: window, dtype: int16, shape: [null, 3], unit: mg}]
  outputs: [{name: rms, dtype: int32, shape: [3]}]
  needs:
    storage: [{bucket: vibration, access: append}]
    operations: [data.stat.vibration]
""".replace("DIGEST", hashlib.sha256(MODULE).hexdigest())
NODE = """  node:
    functions: {}
    storage:
      buckets: [{name: vibration, descriptor: {dtype: int16, shape: [null, 3]}}]
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path)
    repo.write("gateways.yaml", repo.document("Gateway", "hall", f"spec:\n  selector: {{}}\n{NODE}", "tier: edge"))
    repo.write_bytes("functions/rms.wat", MODULE)
    return repo.write("functions/rms.yaml", repo.document("Function", "rms", SPEC))


def test_a_function_and_a_node_become_values(repo: Repo) -> None:
    desired = repo.load().desired
    assert desired is not None
    function = desired.functions[FunctionId("rms")]
    (window,), (need,) = function.inputs, function.needs.storage
    assert (window.dtype, window.shape) == (ValueElement.INT16, (None, 3))
    assert (need.bucket, need.access) == ("vibration", BucketAccess.APPEND)
    node = desired.gateways[GatewayId("hall")].node
    assert node is not None
    assert node.functions is not None
    assert node.storage is not None
    assert node.storage.buckets[0].keep.age_s == 30 * 86400
    assert placement_of(desired.functions, desired.gateways) == {"rms": ("hall",)}


def test_a_suspended_function_runs_nowhere(repo: Repo) -> None:
    desired = repo.replace("functions/rms.yaml", "  needs:", "  suspend: true\n  needs:").load().desired
    assert desired is not None
    assert placement_of(desired.functions, desired.gateways) == {"rms": ()}


@pytest.mark.parametrize(
    ("old", "new", "path", "message", "hint"),
    [
        ("features.rms", "data.rms", "operation", "`data.rms` is reserved for what gateways have built in", "choose"),
        ("features.rms", "rms", "operation", "`rms` is not allowed; expected names of lower-case letters", ""),
        ("rms.wat", "rmss.wat", "source.path", "the repository has no file `functions/rmss.wat`", "did you mean"),
        ("[null, 3]", "[null, null]", "inputs", "2 dimensions have any size", "give all of them"),
        ("[null, 3]", '["x", 3]', "inputs[0].shape[0]", "expected an integer or null, found `x`", ""),
        (
            "bucket: vibration",
            "bucket: vibratio",
            "needs.storage[0].bucket",
            "has no bucket `vibratio`",
            "did you mean",
        ),
        ("data.stat.vibration", "data.state.vibration", "needs.operations[0]", "no function is the operation", "did"),
        (
            "  needs:",
            "  placement: {nodes: {matchLabels: {tier: cloud}}}\n  needs:",
            "placement",
            "no gateway that runs functions has these labels",
            "correct the labels",
        ),
    ],
)
def test_what_can_not_run_is_a_problem(  # noqa: PLR0913, PLR0917 - a table
    repo: Repo, old: str, new: str, path: str, message: str, hint: str
) -> None:
    problem = repo.replace("functions/rms.yaml", old, new).only()
    assert problem.path == "functions/rms.yaml"
    assert problem.json_path == f"$.spec.{path}"
    assert message in problem.message
    assert hint in problem.hint


def test_a_module_must_have_its_digest_and_a_known_ending(repo: Repo) -> None:
    assert repo.write_bytes("functions/rms.wat", MODULE + b" ").only().message.startswith("the SHA-256 of")
    repo.write_bytes("functions/rms.txt", MODULE)
    problem = repo.replace("functions/rms.yaml", "rms.wat", "rms.txt").only()
    assert "neither text (.wat) nor a module (.wasm)" in problem.message


def test_a_module_of_more_than_a_mebibyte_is_too_large(repo: Repo) -> None:
    repo.write_bytes("functions/rms.wat", bytes(1024 * 1024 + 1))
    assert repo.only().message == "`functions/rms.wat` has 1048577 bytes; the maximum is 1048576"


def test_two_functions_are_not_the_same_operation(repo: Repo) -> None:
    repo.append("functions/rms.yaml", repo.document("Function", "rms-2", SPEC))
    assert repo.only().message == "the function `rms` is the operation `features.rms` already"


def test_a_gateway_forwards_to_others_that_are_nodes(repo: Repo) -> None:
    node = "  node: {storage: {buckets: [{name: other, descriptor: {dtype: int8, shape: []}}]}}\n"
    cloud = f"spec:\n  limits: {{transfers: 1}}\n{node}"
    repo.append("gateways.yaml", repo.document("Gateway", "cloud", cloud))
    repo.replace("gateways.yaml", "  node:\n    functions", "  node:\n    forward: [cloud]\n    functions")
    desired = repo.load().desired
    assert desired is not None
    hall = desired.gateways[GatewayId("hall")].node
    assert hall is not None
    assert hall.forward == ("cloud",)

    def only_error(before: str, after: str) -> Problem:
        (error,) = repo.replace("gateways.yaml", before, after).load().errors
        return error

    assert only_error("[cloud]", "[clouds]").hint == "did you mean `cloud`?"
    assert only_error("[clouds]", "[hall]").message == "a gateway can't ask itself"
    repo.replace("gateways.yaml", "[hall]", "[cloud]")
    assert only_error(node, "  selector: {matchLabels: {site: none}}\n").message == "the gateway `cloud` has no `node`"


def test_a_node_needs_a_broker_and_different_buckets(repo: Repo) -> None:
    links = "  links: {serial: [{port: /dev/ttyS0, baud: 9600}]}\n"
    repo.write("devices.yaml", repo.device("pump-1", link="serial: {port: /dev/ttyS0, baud: 9600, address: 1}"))
    repo.replace("gateways.yaml", "  node:", f"{links}  node:")
    assert "through the broker of the gateway, and `links` names none" in repo.only().message
    repo.replace("gateways.yaml", links, "")
    bucket = "{name: vibration, descriptor: {dtype: int16, shape: [null, 3]}}"
    repo.replace("gateways.yaml", bucket, f"{bucket}, {bucket}")
    assert repo.only().message == "duplicate bucket `vibration`"


def test_a_gateway_without_a_selector_is_only_a_node(repo: Repo) -> None:
    repo.write("devices.yaml", repo.device("pump-1"))
    cloud = "spec:\n  node: {storage: {buckets: [{name: other, descriptor: {dtype: int8, shape: []}}]}}\n"
    repo.append("gateways.yaml", repo.document("Gateway", "cloud", cloud))
    loaded = repo.load()
    assert not loaded.problems
    desired = loaded.desired
    assert desired is not None
    assert desired.gateways[GatewayId("cloud")].selector is None
    claims = Claims(desired)
    assert {claims.of(device).gateway for device in desired.devices.values()} == {"hall"}
    repo.replace("gateways.yaml", cloud, "spec: {limits: {transfers: 1}}\n")
    assert "without `node` it does nothing" in repo.only().message


def test_a_gateway_that_drains_gives_its_functions_to_others(repo: Repo) -> None:
    repo.append("gateways.yaml", repo.document("Gateway", "yard", f"spec:\n{NODE}", "tier: edge"))
    (first,) = placed(repo)
    other = "yard" if first == "hall" else "hall"
    drain(repo, first)
    assert placed(repo) == (other,)
    drain(repo, other)
    assert placed(repo) == ()
    assert not repo.load().problems  # a person may want that: the function has the condition `NoNode`


def drain(repo: Repo, name: str) -> None:
    begin = "  selector: {}\n  node:\n" if name == "hall" else "spec:\n  node:\n"
    repo.replace("gateways.yaml", begin, f"{begin}    drain: true\n")


def placed(repo: Repo) -> tuple[str, ...]:
    desired = repo.load().desired
    assert desired is not None
    return placement_of(desired.functions, desired.gateways)[FunctionId("rms")]
