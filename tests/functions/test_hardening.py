# SPDX-License-Identifier: Apache-2.0
"""The runtime works under what the unit forbids, so that nobody has to relax the unit for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "tinyfleet.service"


def test_functions_run_where_no_memory_is_both_written_and_executed() -> None:
    assert "MemoryDenyWriteExecute=yes" in UNIT.read_text(encoding="utf-8").splitlines()
    line = [sys.executable, "-m", "tests.functions.confined"]
    found = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    if not found["denied"]:
        pytest.skip("the kernel is older than 6.3")
    assert found["before"] == [True, True]
    assert found["after"] == [False, False]
    assert found["example"] == [3, 4, 4]
