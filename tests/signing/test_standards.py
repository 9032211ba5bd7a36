# SPDX-License-Identifier: Apache-2.0
"""Independent implementations read our formats: python-cwt verifies signatures, zcbor checks the CDDL of the pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).parents[2]
STANDARDS = Path(sys.prefix) / "standards"
ENVELOPES = json.loads((TREE / "tests/vectors/envelope.json").read_text(encoding="utf-8"))["vectors"]
PROTOCOL = json.loads((TREE / "tests/vectors/protocol.json").read_text(encoding="utf-8"))

# Verdicts of docs/specs/envelope.md, section 5, by the step that they are from.
AFTER_THE_SIGNATURE = {"OK", "VENDOR", "CLASS", "DEVICE", "SEQUENCE", "SEQUENCE_JUMP", "SIZE", "MODEL"}
AFTER_THE_DELEGATION = AFTER_THE_SIGNATURE | {"FLEET", "REVOKED", "EXPIRED", "SIGNER", "SIGNATURE"}
ABOUT_CONTENT = AFTER_THE_DELEGATION | {"DIGEST", "ROOT", "DELEGATION_SIGNATURE", "NO_DELEGATION", "TOO_LONG"}

# CDDL describes data, not its encoding, and zcbor compares no literal byte strings.
ABOUT_ENCODING = {"NOT_CANONICAL", "TRAILING"}
ABOUT_HEADS = re.compile(": (eight-bytes|longer-head)-")
BEYOND_ZCBOR = {
    "key 2 twice",
    "install of the parameters",
    "install of an unknown component",
    "configure of the model",
    "configure with the components swapped",
}
MESSAGES_BEYOND_CDDL = {
    "trailing-byte",
    "indefinite",
    "number-not-shortest",
    "block-size-24",  # not a multiple of 16
    "held-ends-in-zero",
}


@pytest.fixture(scope="module")
def found() -> Any:  # noqa: ANN401 - any JSON value
    assert STANDARDS.is_dir(), "run `make setup`"
    program = TREE / "tests/signing/standard_checks.py"
    environment = {**os.environ, "PYTHONPATH": str(STANDARDS)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_python_cwt_verifies_every_delegation_that_we_accept_and_no_other(found: Any) -> None:  # noqa: ANN401 - JSON
    expected = {
        vector["name"]: vector["verdict"] in AFTER_THE_DELEGATION
        for vector in ENVELOPES
        if vector["verdict"] in AFTER_THE_DELEGATION | {"ROOT", "DELEGATION_SIGNATURE"}
        if "delegation" in found["signatures"][vector["name"]]
    }
    assert {name: found["signatures"][name]["delegation"] for name in expected} == expected
    assert set(expected.values()) == {True, False}
    assert sum(vector["accepted"]["held"] is not None for vector in ENVELOPES if vector["accepted"]) <= len(expected)


def test_python_cwt_verifies_every_signature_that_we_accept_and_no_other(found: Any) -> None:  # noqa: ANN401 - JSON
    expected = {
        vector["name"]: vector["verdict"] in AFTER_THE_SIGNATURE
        for vector in ENVELOPES
        if vector["verdict"] in AFTER_THE_SIGNATURE | {"SIGNATURE", "SIGNER"}
    }
    assert {name: found["signatures"][name]["envelope"] for name in expected} == expected
    assert set(expected.values()) == {True, False}


def test_a_malformed_manifest_is_signed_correctly(found: Any) -> None:  # noqa: ANN401 - JSON
    """So it is the manifest that our verifiers refuse."""
    manifests = [vector["name"] for vector in ENVELOPES if " manifest: " in vector["name"]]
    assert len(manifests) > 100
    assert {found["signatures"][name]["envelope"] for name in manifests} == {True}


def test_a_generic_recipient_accepts_a_delegation_of_another_fleet_or_epoch(found: Any) -> None:  # noqa: ANN401 - JSON
    """docs/specs/envelope.md says what follows."""
    names = [vector["name"] for vector in ENVELOPES if vector["verdict"] in {"FLEET", "REVOKED"}]
    assert len(names) > 1
    assert {found["signatures"][name]["generic"] for name in names} == {True}


def test_the_cddl_accepts_exactly_the_envelopes_of_the_profile(found: Any) -> None:  # noqa: ANN401 - JSON
    described = [
        vector
        for vector in ENVELOPES
        if vector["verdict"] not in ABOUT_ENCODING and not ABOUT_HEADS.search(vector["name"])
    ]
    matching = {vector["name"] for vector in described if vector["verdict"] in ABOUT_CONTENT}
    assert set(found["envelopes"]) & {vector["name"] for vector in described} == matching | BEYOND_ZCBOR
    assert len(described) - len(matching) > 100  # refused


def test_the_cddl_accepts_exactly_the_messages_of_the_protocol(found: Any) -> None:  # noqa: ANN401 - JSON
    valid = {vector["name"] for vector in PROTOCOL["messages"]}
    assert set(found["messages"]) == valid | MESSAGES_BEYOND_CDDL
    assert set(found["bodies"]) == {vector["name"] for vector in PROTOCOL["bodies"]}
