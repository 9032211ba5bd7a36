# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet provision` for a board with MicroPython: the folder starts the agent on the real interpreter."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demo.world import document
from reconciler.cli import cli
from reconciler.devices.initial_flash_content import NotProvisionable
from signing import identifiers, keys
from tests.micropython.device import WINDOW, MicroPythonDevice
from tests.micropython.forests import documented_forest
from tests.micropython.site import forest_model

MODEL = documented_forest(5, WINDOW)


def fleet(folder: Path, link: dict[str, object]) -> Path:
    """Write a fleet repository with one device that runs MicroPython."""
    kind = {
        "architecture": "xtensa-lx6",
        "runtime": "micropython",
        "slotBytes": 65536,
        "arenaBytes": 65536,
        "operators": ["TREE_ENSEMBLE"],
        "prebaked": [{"name": "vibration", "version": "1.0.0"}],
    }
    files = {
        "fleet.yaml": document("Fleet", "plant", {}),
        "gateway.yaml": document("Gateway", "bench", {"selector": {}}),
        "type.yaml": document("DeviceType", "board", kind),
        "device.yaml": document("Device", "pump-9", {"type": "board", "link": link}),
        **forest_model("1.0.0", MODEL),
    }
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root.pub"
    path.write_text(keys.generate().public_key.hex())
    return path


def provision(fleet: Path, *options: str | Path) -> Result:
    logging.disable(logging.INFO)
    return CliRunner().invoke(cli, ["provision", "pump-9", str(fleet), *map(str, options)])


def test_the_folder_runs_on_micropython_and_reports_what_git_says(tmp_path: Path, root: Path) -> None:
    repository = fleet(tmp_path / "fleet", {"mqtt": {}})
    folder = tmp_path / "board"
    store = ("--store", tmp_path / "store")
    done = provision(repository, "--root", root, "--out", folder, "--broker", "broker.plant:8884", *store)
    assert done.exit_code == 0, (done.output, done.exception)
    assert {path.name for path in folder.iterdir()} == {"main.py", "tinyfleet", "device"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    settings = json.loads((folder / "device" / "settings.json").read_text())
    assert settings == {"host": "broker.plant", "port": 8884, "tls": True}
    described = json.loads((folder / "device" / "device.json").read_text())
    assert described["public"] in done.output
    assert described["seed"] not in done.output
    device = MicroPythonDevice(folder / "device", agent=folder)
    assert device.tell("implementation") == "micropython"
    target = identifiers.target("plant", "pump-9", identifiers.PackageContract(frozenset({"TREE_ENSEMBLE"})))
    assert (described["class"], described["id"]) == (target.klass.hex(), target.device.hex())
    report = device.tell("report")
    assert bytes.fromhex(described["prebaked"][0]["digest"])[:16].hex() in report
    device.close()


def test_a_serial_device_gets_its_line_from_git(tmp_path: Path, root: Path) -> None:
    repository = fleet(tmp_path / "fleet", {"serial": {"port": "/dev/line", "baud": 9600, "address": 7}})
    folder = tmp_path / "board"
    done = provision(repository, "--root", root, "--out", folder, "--store", tmp_path / "store")
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads((folder / "device" / "settings.json").read_text()) == {"uart": 1, "baud": 9600}
    assert json.loads((folder / "device" / "device.json").read_text())["address"] == 7
    again = provision(repository, "--root", root, "--out", folder, "--store", tmp_path / "store")
    assert again.exit_code == 2
    assert "is a directory" in again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "board"), "state the address of the broker"),
        (("--out", "board", "--broker", ":8883"), "expected HOST or HOST:PORT"),
        (("--out", "board", "--broker", "host:port"), "expected HOST or HOST:PORT"),
        (("--port", "/dev/ttyUSB0", "--broker", "host"), "use --out"),
        (("--out", "board", "--whole", "--broker", "host"), "use --out"),
    ],
)
def test_what_a_board_with_micropython_can_not_take(
    tmp_path: Path, root: Path, options: tuple[str, ...], message: str
) -> None:
    repository = fleet(tmp_path / "fleet", {"mqtt": {}})
    refused = provision(repository, "--root", root, "--store", tmp_path / "store", *options)
    assert isinstance(refused.exception, NotProvisionable)
    assert message in str(refused.exception)


def test_a_dry_run_lists_the_files(tmp_path: Path) -> None:
    repository = fleet(tmp_path / "fleet", {"mqtt": {}})
    shown = provision(repository, "--dry-run", "--store", tmp_path / "store")
    assert shown.exit_code == 0, shown.exception
    assert "device/prebaked_0" in shown.output
    assert "vibration@1.0.0" in shown.output
