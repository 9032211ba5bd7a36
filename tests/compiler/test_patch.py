# SPDX-License-Identifier: Apache-2.0
"""Patches: their size, and the damage that they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.payload.patch import apply_patch, make_patch


@pytest.mark.parametrize(
    ("operation", "message"), [(0x34, "a number of more than 24 bits"), (0x2C, "reads outside of its source")]
)
def test_a_patch_with_an_endless_or_misplaced_operation_is_refused(operation: int, message: str) -> None:
    with pytest.raises(PackMalformed, match=message):
        apply_patch(b"\x01" + bytes(5) + bytes([operation]) + bytes(64), b"", 100)


BYTES = st.binary(min_size=1, max_size=600)


def retrained(weights: np.ndarray, fraction: float, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    changed = rng.choice(len(weights), int(len(weights) * fraction), replace=False)
    new = weights.astype(np.int64)
    new[changed] += rng.choice([-2, -1, 1, 2], len(changed))
    return bytes(new.clip(-127, 127).astype(np.int8).tobytes())


@pytest.mark.parametrize(("fraction", "most"), [(0.01, 0.02), (0.1, 0.12), (1.0, 0.5)])
def test_a_patch_is_as_large_as_the_change(fraction: float, most: float) -> None:
    weights = np.random.default_rng(7).normal(0, 30, 20000).clip(-127, 127).astype(np.int8)
    new = retrained(weights, fraction, 8)
    assert len(make_patch(new, weights.tobytes())) <= most * len(new)


@settings(max_examples=300, deadline=None)
@given(target=BYTES, source=BYTES, data=st.data())
def test_a_damaged_patch_is_refused_or_decodes_to_the_right_length(
    target: bytes, source: bytes, data: st.DataObject
) -> None:
    patch = bytearray(make_patch(target, source))
    at = data.draw(st.integers(0, len(patch) * 8 - 1))
    patch[at // 8] ^= 1 << at % 8
    try:
        made = apply_patch(bytes(patch), source, len(target))
    except PackMalformed:
        return
    assert len(made) == len(target)


def test_a_patch_against_another_pack_is_refused() -> None:
    patch = make_patch(b"new model", b"old model")
    with pytest.raises(PackMalformed, match="made against another pack"):
        apply_patch(patch, b"odd model", 9)


@settings(max_examples=100, deadline=None)
@given(target=BYTES, source=BYTES, cut=st.integers(1, 600))
def test_a_truncated_patch_is_refused(target: bytes, source: bytes, cut: int) -> None:
    patch = make_patch(target, source)
    with pytest.raises(PackMalformed):
        apply_patch(patch[: max(0, len(patch) - cut)], source, len(target))
