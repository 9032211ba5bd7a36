# SPDX-License-Identifier: Apache-2.0
"""A client wishes for a change, and gets the commit; Git changes only when a person merges it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.bus.fleet_changes import (
    CHANGE,
    Field,
    ProposedCommit,
    Value,
    change_operation,
    encode_wish,
    read_commit,
)
from reconciler.bus.node import Invocation
from reconciler.devices import strict_cbor
from reconciler.engine.clock import SystemClock
from reconciler.engine.proposals.wished_change import WishedChanges
from reconciler.operations.codes import AnswerCode, OperationFailed
from tests.engine.proposals.repository import NORTH, Gateway

VERSION_2: Mapping[Field, Value] = {("spec", "model", "version"): "2", ("spec", "parameters", "threshold"): 0.65}
SUSPEND: Mapping[Field, Value] = {("spec", "suspend"): True}


def ask(gateway: Gateway, data: bytes, client: str = "line-tool", *, key: bool = True) -> ProposedCommit:
    """Perform the operation, as the node does."""
    with ThreadPoolExecutor(1) as thread:
        made = WishedChanges(NORTH, gateway.source, gateway.proposer() if key else None, thread, SystemClock())
        offered = change_operation("north", ("line-tool",), made.propose)[CHANGE]

        async def perform() -> bytes:
            return await offered.perform(Invocation(data, client, b"12345678", 1e9))

        return read_commit(asyncio.run(perform()))


def wish(gateway: Gateway, values: Mapping[Field, Value], name: str = "pumps", *, key: bool = True) -> ProposedCommit:
    return ask(gateway, encode_wish("Rollout", name, values), key=key)


def branches(gateway: Gateway) -> str:
    listed = subprocess.run(["git", "branch", "--list"], cwd=gateway.forge.bare, check=True, capture_output=True)
    return listed.stdout.decode()


def test_what_the_gateway_may_sign_becomes_a_branch_that_a_person_merges(gateway: Gateway) -> None:
    base = gateway.poll().commit
    made = wish(gateway, VERSION_2)
    assert made.base == base
    assert made.branch == "propose/north/change_rollout_pumps"
    assert made.commit is not None
    assert 'version: "2"' in gateway.file(made.commit)
    assert gateway.poll().commit == base  # nothing has changed
    assert wish(gateway, VERSION_2) == made  # asked again, the same commit
    gateway.forge.git("fetch", "--quiet", "origin")
    gateway.forge.merge(f"origin/{made.branch}", key=gateway.ada)
    merged = gateway.poll()
    assert next(iter(merged.rollouts.values())).model.version == "2"
    assert wish(gateway, VERSION_2).patch == ""
    gateway.proposer().look(merged)
    assert made.branch not in branches(gateway)


def test_anything_else_is_a_patch_that_a_person_commits(gateway: Gateway, tmp_path: Path) -> None:
    gateway.poll()
    made = wish(gateway, SUSPEND)
    assert (made.branch, made.commit, made.path) == (None, None, "rollouts/pumps.yaml")
    assert made.why == "the gateway may not sign it: it changes the suspend of rollout pumps"
    assert "propose" not in branches(gateway)
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", gateway.forge.bare, copy], check=True)
    subprocess.run(["git", "apply", "-"], cwd=copy, input=made.patch.encode(), check=True)
    assert (copy / made.path).read_text().endswith("suspend: true\n")
    without_key = wish(gateway, VERSION_2, key=False)
    assert "[automation] key" in without_key.why
    assert without_key.branch is None


def test_a_declined_wish_is_not_pushed_again(gateway: Gateway) -> None:
    gateway.poll()
    made = wish(gateway, VERSION_2)
    subprocess.run(["git", "branch", "--quiet", "-D", str(made.branch)], cwd=gateway.forge.bare, check=True)
    with pytest.raises(OperationFailed, match="a person has declined"):
        wish(gateway, VERSION_2)
    other = {**VERSION_2, ("spec", "parameters", "threshold"): 0.6}
    assert wish(gateway, other).branch == made.branch


@pytest.mark.parametrize(
    ("data", "client", "code", "why"),
    [
        (encode_wish("Rollout", "pumps", SUSPEND), "intruder", AnswerCode.FORBIDDEN, "not in `node.changes.clients`"),
        (encode_wish("Rollout", "pump", SUSPEND), "line-tool", AnswerCode.NOT_FOUND, "has no Rollout pump"),
        (
            encode_wish("Rollout", "pumps", {("spec", "model", "version"): "9"}),
            "line-tool",
            AnswerCode.FORBIDDEN,
            "would not be valid: ",
        ),
        (
            encode_wish("Rollout", "pumps", {("spec", "model"): "x"}),
            "line-tool",
            AnswerCode.FORBIDDEN,
            "cannot set spec.model",
        ),
        (
            encode_wish("Rollout", "pumps", {("metadata", "name"): "x"}),
            "line-tool",
            AnswerCode.DESCRIPTOR_MISMATCH,
            "below `spec`",
        ),
        (strict_cbor.dump({"kind": "Rollout"}), "line-tool", AnswerCode.DESCRIPTOR_MISMATCH, "a wish must have"),
        (b"\xff", "line-tool", AnswerCode.DESCRIPTOR_MISMATCH, "inputs[0]"),
    ],
)
def test_wishes_that_are_refused(gateway: Gateway, data: bytes, client: str, code: AnswerCode, why: str) -> None:
    base = gateway.poll().commit
    with pytest.raises(OperationFailed) as refused:
        ask(gateway, data, client)
    assert refused.value.code is code
    assert why in refused.value.why
    assert gateway.poll().commit == base
    assert "propose" not in branches(gateway)
