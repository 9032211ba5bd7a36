# SPDX-License-Identifier: Apache-2.0
"""The verifier in Python satisfies the same vectors as the one in C."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from signing.verification_error import VerificationCode, VerificationError
from signing.verify import AcceptedOrder, DeviceState, verify
from tests.signing.make_vectors import write
from tests.signing.vector_loader import VECTORS, Vector, load_vectors

SPECIFICATION = Path(__file__).parents[2] / "docs" / "specs" / "envelope.md"
ALL = list(load_vectors())
NOT_RAISED_BY_VERIFY = {"IMAGE", "AUTHENTICATION"}


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_vector_gets_its_code(vector: Vector) -> None:
    if vector.accepted is None:
        with pytest.raises(VerificationError) as refusal:
            verify(vector.envelope, vector.state)
        assert refusal.value.code.name == vector.verdict
    else:
        assert _as_row(verify(vector.envelope, vector.state), vector.state) == vector.accepted


def _as_row(accepted: AcceptedOrder, state: DeviceState) -> dict[str, Any]:
    order, delegation = accepted.order, accepted.delegation
    row: dict[str, Any] = {"sequence": order.sequence, "digest": order.digest.hex()}
    row |= {"values": [[i, v] for i, v in order.values.items()]} if hasattr(order, "values") else {"size": order.size}
    held = {"key": delegation.gateway_key.hex(), "epoch": delegation.epoch, "not_after": delegation.not_after}
    return {**row, "held": None if delegation is state.held else held}


def test_every_code_has_a_vector() -> None:
    assert {vector.verdict for vector in ALL} == set(VerificationCode.__members__) - NOT_RAISED_BY_VERIFY


def test_codes_are_those_of_the_specification() -> None:
    table = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", SPECIFICATION.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(number) for number, name in table} == {
        verdict.name: verdict.value for verdict in VerificationCode
    }


def test_vectors_match_the_script(tmp_path: Path) -> None:
    # keys differ from run to run, so bytes that depend on them are not compared
    write(tmp_path / "envelope.json")
    pattern = re.compile(r'"(envelope|key|root)": "[0-9a-f]+"')
    fresh, kept = ((path).read_text(encoding="utf-8") for path in (tmp_path / "envelope.json", VECTORS))
    assert pattern.sub(r"\1", fresh) == pattern.sub(r"\1", kept)


def test_the_vectors_contain_no_private_key() -> None:
    assert "PRIVATE" not in VECTORS.read_text(encoding="utf-8")
