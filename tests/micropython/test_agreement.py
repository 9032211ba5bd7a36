# SPDX-License-Identifier: Apache-2.0
"""Numbers that the agent in MicroPython and the agent in C must agree on, read from the sources of both."""

from __future__ import annotations

import re

import pytest

from tests.micropython.interpreter import AGENT, ROOT

HEADERS = ROOT / "firmware" / "include" / "tinyfleet"
SHARED = [
    ("start.py", "TRIAL_BOOTS", "config.h", "TF_TRIAL_BOOTS"),
    ("start.py", "FAULTS_MAX", "config.h", "TF_FAULTS_MAX"),
    ("agent.py", "HEALTHY_MS", "config.h", "TF_HEALTHY_MS"),
    ("trial.py", "TRIAL_MS", "config.h", "TF_TRIAL_MS"),
    ("envelope.py", "ENVELOPE_MAX", "config.h", "TF_ENVELOPE_MAX"),
    ("envelope.py", "PARAMETERS_MAX", "config.h", "TF_PARAMETERS_MAX"),
    ("report.py", "BLOCK_MAX", "config.h", "TF_BLOCK_MAX"),
    ("transfer.py", "BLOCKS_MAX", "config.h", "TF_BLOCKS_MAX"),
]


def errors_in_c() -> dict[str, int]:
    found = re.findall(r"TF_ERR_(\w+) = (-\d+)", (HEADERS / "error.h").read_text(encoding="utf-8"))
    return {name: int(number) for name, number in found}


def test_each_error_has_the_number_that_it_has_in_c() -> None:
    found = re.findall(
        r"^(\w+) = (-\d+)$", (AGENT / "tinyfleet" / "errors.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(found) > 40
    in_c = errors_in_c()
    assert {name: (int(number), in_c[name]) for name, number in found if int(number) != in_c[name]} == {}


@pytest.mark.parametrize(("module", "name", "header", "macro"), SHARED, ids=[row[1] for row in SHARED])
def test_limits_are_those_of_the_agent_in_c(module: str, name: str, header: str, macro: str) -> None:
    ours = re.search(rf"^{name} = ([\d_]+)", (AGENT / "tinyfleet" / module).read_text(encoding="utf-8"), re.MULTILINE)
    theirs = re.search(rf"#define {macro} (\d+)", (HEADERS / header).read_text(encoding="utf-8"))
    assert ours is not None
    assert theirs is not None
    assert int(ours[1]) == int(theirs[1])
