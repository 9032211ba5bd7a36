# SPDX-License-Identifier: Apache-2.0
"""Payloads: what goes in comes out, never larger than raw, and damage is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.payload.codec import PayloadEncoding, candidates, decode, smallest
from reconciler.compiler.payload.patch import apply_patch, make_patch

BYTES = st.binary(min_size=1, max_size=600)


def heatshrink_by_the_specification(data: bytes, length: int) -> bytes:
    """The decoder that docs/specs/patch.md describes, word by word."""
    bits = "".join(f"{byte:08b}" for byte in data)
    out, at = bytearray(256), 0
    while len(out) < 256 + length:
        if bits[at] == "1":
            out.append(int(bits[at + 1 : at + 9], 2))
            at += 9
        else:
            distance, count = int(bits[at + 1 : at + 9], 2) + 1, int(bits[at + 9 : at + 13], 2) + 1
            for _ in range(count):
                out.append(out[-distance])
            at += 13
    return bytes(out[256 : 256 + length])


def retrained(weights: np.ndarray, fraction: float, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    changed = rng.choice(len(weights), int(len(weights) * fraction), replace=False)
    new = weights.astype(np.int64)
    new[changed] += rng.choice([-2, -1, 1, 2], len(changed))
    return bytes(new.clip(-127, 127).astype(np.int8).tobytes())


@settings(max_examples=150, deadline=None)
@given(target=BYTES, source=BYTES)
def test_every_form_gives_the_pack_back(target: bytes, source: bytes) -> None:
    for payload in candidates(target, source):
        assert decode(payload, len(target), source) == target


@settings(max_examples=100, deadline=None)
@given(target=st.one_of(BYTES, st.integers(1, 700).map(bytes), BYTES.map(lambda b: b[:9] * 40)))
def test_heatshrink_is_what_the_specification_says(target: bytes) -> None:
    (packed,) = [p for p in candidates(target) if p.encoding is PayloadEncoding.HEATSHRINK]
    assert heatshrink_by_the_specification(packed.data, len(target)) == target


@settings(max_examples=100, deadline=None)
@given(target=BYTES, source=st.one_of(st.none(), BYTES))
def test_nothing_travels_larger_than_raw(target: bytes, source: bytes | None) -> None:
    assert len(smallest(target, source).data) <= len(target)


@pytest.mark.parametrize(("fraction", "most"), [(0.01, 0.02), (0.1, 0.12), (1.0, 0.5)])
def test_a_retrained_model_costs_what_changed(fraction: float, most: float) -> None:
    weights = np.random.default_rng(7).normal(0, 30, 20000).clip(-127, 127).astype(np.int8)
    new = retrained(weights, fraction, 8)
    assert len(make_patch(new, weights.tobytes())) <= most * len(new)


def test_a_device_without_room_to_decode_gets_raw() -> None:
    pack = bytes(8000)
    assert smallest(pack, slot_bytes=8192).encoding is PayloadEncoding.RAW
    assert smallest(pack, slot_bytes=16384).encoding is not PayloadEncoding.RAW


@settings(max_examples=300, deadline=None)
@given(target=BYTES, source=BYTES, data=st.data())
def test_a_damaged_patch_is_refused_or_makes_the_right_length(
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
    with pytest.raises(PackMalformed, match="another pack"):
        apply_patch(patch, b"odd model", 9)


@settings(max_examples=100, deadline=None)
@given(target=BYTES, source=BYTES, cut=st.integers(1, 600))
def test_a_truncated_patch_is_refused(target: bytes, source: bytes, cut: int) -> None:
    patch = make_patch(target, source)
    with pytest.raises(PackMalformed):
        apply_patch(patch[: max(0, len(patch) - cut)], source, len(target))
