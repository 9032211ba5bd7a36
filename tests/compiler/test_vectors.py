# SPDX-License-Identifier: Apache-2.0
"""The committed vectors equal the current output of the compiler, so no change of bytes goes unnoticed."""

from __future__ import annotations

from tests.compiler.make_vectors import VECTORS, as_text, pack_vectors, patch_vectors


def test_pack_vectors_are_current() -> None:
    assert (VECTORS / "pack.json").read_text() == as_text(pack_vectors())


def test_patch_vectors_are_current() -> None:
    assert (VECTORS / "patch.json").read_text() == as_text(patch_vectors())
