# SPDX-License-Identifier: Apache-2.0
"""docs/boards.md has a row for each port with a preset, and says of its emulator what the tests use."""

from __future__ import annotations

import json
import re

from tests.docs.markdown import ROOT
from tests.firmware.board import MACHINES

PAGE = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
PRESETS = json.loads((ROOT / "firmware" / "CMakePresets.json").read_text(encoding="utf-8"))["configurePresets"]
ROWS = {
    row[0].strip("`"): row
    for row in re.findall(r"^\| (`[^|]+) \| (.+?) \| `(.+?)` \| .+ \| (.+) \| (.) \|$", PAGE, re.MULTILINE)
}


def test_each_port_has_a_row() -> None:
    ports = {preset["cacheVariables"]["TF_PORT"] for preset in PRESETS if "TF_PORT" in preset.get("cacheVariables", {})}
    assert set(ROWS) == ports - {"host"}


def test_a_row_names_the_emulator_that_the_tests_run() -> None:
    programs = {
        machine.name: machine.emulator[2:4] if machine.is_model else machine.emulator[:3] for machine in MACHINES
    }
    emulators = {name: " ".join(words).partition(",")[0] for name, words in programs.items()}
    emulators |= {machine.name: machine.library for machine in MACHINES if machine.library is not None}
    assert {port: row[2] for port, row in ROWS.items()} == emulators


def test_a_row_says_whether_the_watchdog_is_tested() -> None:
    tested = {machine.name: "emulated" if machine.has_watchdog else "not emulated" for machine in MACHINES}
    assert {port: row[3] for port, row in ROWS.items()} == tested


def test_only_flash_with_rules_of_its_own_is_of_class_a() -> None:
    """A file or RAM in place of flash takes any write: then the driver checks itself. Our model proves no manual."""
    a = {
        machine.name
        for machine in MACHINES
        if machine.flash_address is not None and (machine.library is not None or not machine.is_model)
    }
    own = {machine.name: "A" if machine.name in a else "B" for machine in MACHINES}
    assert {port: row[4] for port, row in ROWS.items()} == own
