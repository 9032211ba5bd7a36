# SPDX-License-Identifier: Apache-2.0
"""The example matches its README, and the commands of its CI files work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reconciler.candidates import champion, resolve_candidates, types_of
from reconciler.load import DirectoryTree, load
from reconciler.model import Commit, Desired, DeviceId, MqttAddress, Runtime, SerialAddress, TypeId, Updates

EXAMPLE = Path(__file__).resolve().parents[2] / "fleet-repo-example"
CI_FILES = [".github/workflows/validate.yml", ".gitlab-ci.yml"]


@pytest.fixture(scope="module")
def desired() -> Desired:
    loaded = load(DirectoryTree(EXAMPLE), commit=Commit(""))
    assert loaded.desired is not None
    return loaded.desired


def test_the_example_has_what_its_readme_says(desired: Desired) -> None:
    assert len(desired.gateways) == 2
    assert len(desired.types) == 4
    assert len(desired.devices) == 13
    assert {ref.name for ref in desired.models} == {"pump-vibration", "line-current"}


def test_the_contest_has_candidates_that_differ_in_model_and_threshold(desired: Desired) -> None:
    (contest,) = desired.contests.values()
    rollout = desired.rollouts[contest.rollout]
    types = types_of(rollout, desired.devices.values(), desired.types)
    found = resolve_candidates(contest, rollout, desired.models, types)
    assert len({each.model for each in found}) == 2
    assert champion(rollout, desired.models) in found
    assert all("SAMPLES" in kind.operators for kind in types)


def test_the_types_cover_mqtt_a_slow_line_and_no_updates(desired: Desired) -> None:
    links = {device.type: device.link for device in desired.devices.values()}
    slow = links[TypeId("current-serial")]
    assert isinstance(slow, SerialAddress)
    assert slow.baud == 2400
    assert links[TypeId("vibration-wifi")] == MqttAddress()
    assert desired.types[TypeId("vibration-sealed")].updates is Updates.NONE
    assert desired.types[TypeId("current-micropython")].runtime is Runtime.MICROPYTHON
    assert DeviceId("pump-north-5") in desired.devices


def test_each_rollout_starts_with_a_soaking_canary(desired: Desired) -> None:
    for rollout in desired.rollouts.values():
        assert rollout.waves[0].name == "canary"
        assert rollout.waves[0].soak_s >= 3600


def test_prebaked_models_fit_their_types(desired: Desired) -> None:
    for kind in desired.types.values():
        for ref in kind.prebaked:
            needs = desired.models[ref].needs
            assert needs.operators <= kind.operators
            assert needs.slot_bytes <= kind.slot_bytes
            assert needs.arena_bytes <= kind.arena_bytes


@pytest.mark.parametrize("file", CI_FILES)
def test_the_commands_of_the_ci_files_run(file: str, tmp_path: Path) -> None:
    text = (EXAMPLE / file).read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    # Commands with a base need a history: tests/review/test_workflows.py runs the files unchanged.
    commands = re.findall(r"^\s*(?:- )?(?:run: )?(tinyfleet (?!plan --base|verify --base)[^>\n]+)", text, re.MULTILINE)
    assert len(commands) == 2
    shutil.copytree(EXAMPLE, tmp_path / "fleet")
    for command in commands:
        entry = [sys.executable, "-c", "from reconciler.cli import main; main()", *command.split()[1:]]
        done = subprocess.run(entry, cwd=tmp_path / "fleet", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
