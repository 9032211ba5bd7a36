# SPDX-License-Identifier: Apache-2.0
"""A rollout over two gateways that share nothing but Git: each waits for the other, and reports it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from demo.site import model, rollout
from demo.world import World, threshold_model
from reconciler.cli import cli
from tests.system.two_gateways import ROLLOUT_FILE, Hall, Plant

SECOND, THIRD = threshold_model([3, -4, 2] * 40, 800), threshold_model([3, -4, 5] * 40, 700)
WAVES = [{"name": "canary", "selector": {"devices": ["north-1", "south-1"]}}, {"name": "all", "percent": 100}]


@pytest.fixture
def plant(firmware: None, world: World) -> Iterator[Plant]:  # noqa: ARG001 - must have been built
    made = Plant(world)
    yield made
    made.stop()


def shown(hall: Hall, *more: str) -> Any:  # noqa: ANN401 - any JSON value
    command = ["rollout", "show", "vibration", "--config", f"{hall.world.folder}/gateway.toml"]
    result = CliRunner().invoke(cli, [*command, *more])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "json" in more else result.stdout


def files_of(version: str, pack: bytes) -> dict[str, bytes]:
    return {"rollout.yaml": rollout(version, waves=WAVES), **model(version, pack)}


def forge(plant: Plant, hall: Hall, key: str | None) -> None:
    """Report in the name of a gateway that all its devices are done, signed with another key or not at all."""
    world, folder = plant.world, plant.world.folder / f"forged-by-{key}"
    world.run("git", "clone", "-q", "-b", f"status/{hall.name}", world.remote, folder)
    status = folder / ROLLOUT_FILE
    all_devices = " ".join(hall.devices)
    current = plant.north.world.status_file(ROLLOUT_FILE) or ""  # of what Git wants now
    status.write_text(re.sub(r"(?m)^  devices:\n(    .*\n)+", f"  devices:\n    done: {all_devices}\n", current))
    assert f"done: {all_devices}" in status.read_text()
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={world.folder / key}"] if key else []
    who = ["-c", f"user.name={hall.name}", "-c", f"user.email={hall.name}@fleet"]
    sign = "--gpg-sign" if key else "--no-gpg-sign"
    world.run("git", *signing, *who, "commit", "-q", "-a", sign, "-m", "All is well", cwd=folder)
    world.run("git", "push", "-q", "--force", "origin", f"HEAD:status/{hall.name}", cwd=folder)


def test_a_wave_waits_for_both_gateways_and_ignores_forged_reports(plant: Plant) -> None:
    north, south = plant.halls
    plant.begin()

    # One gateway is down before the commit: its last report is about another version.
    south.gateway.kill()
    plant.world.commit("1.1.0", files_of("1.1.0", SECOND))
    north.wait_for("its canary", lambda: north.is_ready("north-1", "1.1.0"))
    north.wait_for("the wait", lambda: "1 of 2 devices done" in north.rollout["waiting"])
    assert north.reason("north-2") == "HeldWave"
    assert re.search(r"1 of them at gateway south, .* is about another revision", north.rollout["waiting"])
    since = re.search(r"gateway south, whose last report of 2\S+ \S+ UTC", north.rollout["waiting"])
    assert since, north.rollout["waiting"]

    # Reports are forged in its name: signed with a key of no gateway, and not signed at all.
    for key in ("engineer", None):
        forge(plant, south, key)
        plant.wait_until_polled(north)
        assert north.reason("north-2") == "HeldWave"
        assert "1 of them at gateway south, which has never reported" in north.rollout["waiting"]

    # It returns and replaces the forged ref, and both gateways finish.
    south.start_gateway()
    for hall in plant.halls:
        hall.wait_until_ready("1.1.0")
        hall.wait_until_complete()

    # Its devices lose power, it takes the next commit and goes down: north reports since when.
    south.unplug()
    plant.world.commit("1.2.0", files_of("1.2.0", THIRD))
    south.wait_for("its report", lambda: south.rollout.get("model") == "vibration@1.2.0")
    south.gateway.kill()
    north.wait_for("its canary", lambda: north.is_ready("north-1", "1.2.0"))
    north.wait_for("since when", lambda: re.search(r"gateway south, unchanged since 2", north.rollout["waiting"]))
    plant.wait_until_polled(north)
    assert north.reason("north-2") == "HeldWave"
    assert re.search(r"wave 1 \(canary\): 1 of 2 devices done, .*gateway south, unchanged since 2", shown(north))
    assert shown(north, "--output", "json")["state"] != "complete"

    south.power()
    south.start_gateway()
    for hall in plant.halls:
        hall.wait_until_ready("1.2.0")
        hall.wait_until_complete()
    assert [wave["done"] for wave in north.rollout["waves"]] == [2, 2]
