# SPDX-License-Identifier: Apache-2.0
"""The committed vectors match the output of their script."""

from __future__ import annotations

import json

import pytest

from tests.devices import make_vectors


@pytest.mark.parametrize(("name", "made"), [("protocol", make_vectors.protocol()), ("frames", make_vectors.frames())])
def test_committed_vectors_are_current(name: str, made: dict[str, object]) -> None:
    committed = json.loads((make_vectors.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert committed == made
