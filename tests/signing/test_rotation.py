# SPDX-License-Identifier: Apache-2.0
"""Rotation of the root: the verifier in Python satisfies the vectors that the agents read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from signing.delegation import Delegation, delegate
from signing.rotation import RootState, Rotation, describe_rotation, read_rotation, rotate, verify_rotation
from signing.verification_error import VerificationCode, VerificationError
from tests.signing.forgery import Key
from tests.signing.make_vectors import ROTATIONS, write_rotations

ALL: list[dict[str, Any]] = json.loads(ROTATIONS.read_text(encoding="utf-8"))
MESSAGE = 160, 176  # docs/specs/rotation.md section 2


def _verify(vector: dict[str, Any]) -> tuple[Rotation, Delegation | None]:
    known = vector["state"]
    state = RootState(bytes.fromhex(known["root"]), bytes.fromhex(known["vendor"]), known["number"])
    return verify_rotation(bytes.fromhex(vector["rotation"]), bytes.fromhex(vector["delegation"]), state)


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector["name"])
def test_rotation_gets_its_code(vector: dict[str, Any]) -> None:
    if vector["verdict"] != "OK":
        with pytest.raises(VerificationError) as refusal:
            _verify(vector)
        assert refusal.value.code.name == vector["verdict"]
        return
    rotation, delegation = _verify(vector)
    held = delegation and {
        "key": delegation.gateway_key.hex(), "epoch": delegation.epoch, "not_after": delegation.not_after,
    }  # fmt: skip
    assert {"root": rotation.next_root.hex(), "number": rotation.number, "held": held} == vector["accepted"]
    lengths = len(bytes.fromhex(vector["rotation"])), len(bytes.fromhex(vector["delegation"]))
    assert all(length <= most for length, most in zip(lengths, MESSAGE, strict=True))


def test_vectors_match_the_script(tmp_path: Path) -> None:
    write_rotations(tmp_path / "rotation.json")
    pattern = re.compile(r'"(rotation|delegation|key|root)": "[0-9a-f]+"')
    fresh, kept = ((path).read_text(encoding="utf-8") for path in (tmp_path / "rotation.json", ROTATIONS))
    assert pattern.sub(r"\1", fresh) == pattern.sub(r"\1", kept)
    assert "PRIVATE" not in kept


def test_a_rotation_that_no_device_could_follow_is_not_signed() -> None:
    root, successor = Key(), Key()
    for number in (0, 65536):
        with pytest.raises(ValueError, match="between 1 and 65535"):
            rotate(root, Rotation(successor.public_key, number))
    with pytest.raises(ValueError, match="can't follow itself"):
        rotate(root, Rotation(root.public_key, 1))


def test_every_flipped_bit_of_a_rotation_is_refused() -> None:
    root, successor = Key(), Key()
    data = rotate(root, Rotation(successor.public_key, 1))
    assert describe_rotation(data) == (root.kid, read_rotation(data, root.public_key))
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError):
            read_rotation(bytes(damaged), root.public_key)


def test_a_root_that_was_replaced_can_neither_rotate_nor_delegate() -> None:
    old, new, gateway = Key(), Key(), Key()
    state = RootState(new.public_key, bytes(16), 1)
    back = rotate(old, Rotation(old.public_key[::-1], 2))
    grant = delegate(new, Delegation(gateway.public_key, bytes(16), 1))
    with pytest.raises(VerificationError) as refusal:
        verify_rotation(back, grant, state)
    assert refusal.value.code is VerificationCode.ROOT
