# SPDX-License-Identifier: Apache-2.0
"""Losses of power on a real MicroPython with a real LittleFS: the old or the new version runs, never none.

TINYFLEET_CUT_STEP=1 (`make powercut-micropython`) tries every operation of the flash; `make test` tries some.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import cbor2
import pytest

from reconciler.compiler.pack.package_format import disassemble_package
from tests.firmware.bench import Bench
from tests.micropython.device import made_device, make_package, provision, window
from tests.micropython.interpreter import ON_DEVICE, run

PLANT = Bench("plant")
BORN_WITH, FIRST, SECOND = (make_package(seed) for seed in range(3))
STEP = int(os.environ.get("TINYFLEET_CUT_STEP", "17"))
BUGS = {  # each with the operation from which the search begins: an update has about 170
    "save_state_before_files": 90,
    "receive_into_the_running_slot": 1,
    "forget_the_sequence": 1,
    "remove_states_before_writing": 1,
    "lose_a_trial_with_the_power": 150,
    "empty_the_old_slot_at_the_trial": 140,
}


def failing(package: bytes) -> bytes:
    """Return a package whose features are wrong, so that its golden vectors fail."""
    code = b"def features(x):\n    return [0, 0]\n"
    return cbor2.dumps({**disassemble_package(package), "features.py": code})


def case(folder: Path, package: bytes, *, result: int, runs: bytes) -> Path:
    """Write the files of a device and both of its orders."""
    made = made_device(PLANT, "pump-9")
    device = folder / "device"
    provision(device, made, [BORN_WITH])
    files = {str(path.relative_to(device)): path.read_bytes().hex() for path in device.rglob("*") if path.is_file()}

    def order(package: bytes, sequence: int) -> dict[str, object]:
        digest = hashlib.sha256(package).hexdigest()
        envelope = PLANT.install(made, package, sequence).hex()
        return {"envelope": envelope, "package": package.hex(), "digest": digest, "block": 512, "sequence": sequence}

    second = {**order(package, 2), "result": result, "runs": hashlib.sha256(runs).hexdigest()}
    content = {"files": files, "first": order(FIRST, 1), "second": second, "window": window(1).hex()}
    path = folder / "case.json"
    path.write_text(json.dumps(content))
    return path


def figures(output: str) -> tuple[list[str], dict[str, str]]:
    lines = output.splitlines()
    found = [line for line in lines if line.startswith("violation")]
    return found, dict(line.split("=") for line in lines if "=" in line and not line.startswith("violation"))


@pytest.mark.parametrize("kind", ["whole", "torn"])
def test_an_update_survives_a_loss_of_power_at_any_operation(tmp_path: Path, kind: str) -> None:
    path = case(tmp_path, SECOND, result=0, runs=SECOND)
    found, said = figures(run(ON_DEVICE / "power_cuts.py", path, "none", "1", str(STEP), kind, timeout_s=3000))
    assert found == []
    assert said["implementation"] == "micropython"
    assert int(said["cuts"]) >= 150 // STEP


def test_a_failing_package_gives_way_after_a_loss_of_power_at_any_operation(tmp_path: Path) -> None:
    path = case(tmp_path, failing(SECOND), result=-87, runs=FIRST)
    found, said = figures(run(ON_DEVICE / "power_cuts.py", path, "none", "2", str(STEP), "torn", timeout_s=3000))
    assert found == []
    assert int(said["cuts"]) >= 150 // STEP


@pytest.mark.parametrize("bug", BUGS)
def test_the_campaign_finds_each_seeded_bug(tmp_path: Path, bug: str) -> None:
    fails = bug == "empty_the_old_slot_at_the_trial"  # it shows when the new package does not work
    package, result, runs = (failing(SECOND), -87, FIRST) if fails else (SECOND, 0, SECOND)
    path = case(tmp_path, package, result=result, runs=runs)
    begin = str(BUGS[bug])
    found, _ = figures(run(ON_DEVICE / "power_cuts.py", path, bug, begin, "3", "whole", timeout_s=600))
    assert found
