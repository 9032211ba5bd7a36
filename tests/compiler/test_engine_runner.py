# SPDX-License-Identifier: Apache-2.0
"""Requests to the runner of the C engine."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from reconciler.compiler.engine_runner import (
    FIRMWARE_VARIABLE,
    ExecutionTarget,
    make_request,
    runner_is_built,
    runner_program,
)
from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack


def test_a_missing_runner_is_reported_with_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FIRMWARE_VARIABLE, str(tmp_path))
    assert not runner_is_built(ExecutionTarget.HOST)
    with pytest.raises(BuildFailed, match=r"is missing: run `make firmware-runner`"):
        runner_program(ExecutionTarget.HOST)


def test_all_inputs_of_a_request_have_the_same_length() -> None:
    pack = build_threshold_pack([1, 2], threshold=1)
    with pytest.raises(PackMalformed, match="the same length"):
        make_request(pack, [b"a", b"bc"])
    roomy = make_request(pack, [], arena_bytes=512)
    assert struct.unpack_from("<5I", roomy)[:4] == (len(pack), 512, 0, 0)
