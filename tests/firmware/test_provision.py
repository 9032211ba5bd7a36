# SPDX-License-Identifier: Apache-2.0
"""Devices made by `tinyfleet provision`, on real firmware: they have the identity in Git and trust the right keys."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from demo.world import document, threshold_model
from reconciler.cli import cli
from reconciler.compiler.threshold.threshold_json import threshold_pack_from_json
from reconciler.devices.conversation import Confirmed
from reconciler.devices.flash_image import Identity
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import CapabilitiesBody, DecisionReason, ModelLocation
from signing import identifiers, report
from tests.firmware.bench import ENGINE, Bench, Made, make_pack
from tests.firmware.board import Board
from tests.firmware.talk import SerialDevice, ask, digest16, job, report_of, update
from tests.firmware.vdev import Vdev

MODEL = threshold_model([3, -5, 2] * 20, 900)
NEW = make_pack(3, inputs=900)
ADDRESS = 7
FLASH = {
    "bytes": 1 << 20,
    "provisioned": {"offset": 0, "bytes": 0x20000},
    "journal": {"offset": 0x20000, "bytes": 0x4000},
}


@dataclass(frozen=True)
class Provisioned(Made):
    """A device as the command made it: its file, and of its keys only what Git knows."""

    data: bytes = b""
    public_key: bytes = b""

    def region(self, *_prebaked: bytes) -> bytes:
        return self.data

    def open_signed(self, cose: bytes, nonce: bytes) -> bytes:
        return report.verify_signed(cose, self.public_key, self.target.device, nonce)


@pytest.fixture
def provisioned(bench: Bench, tmp_path: Path) -> Callable[..., Provisioned]:
    """Make a fleet repository, and with it a device; `whole`: with all of its flash."""
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    source = {"path": "model.json", "sha256": hashlib.sha256(MODEL).hexdigest()}
    kind = {
        "architecture": "cortex-m4",
        "slotBytes": 131072,
        "arenaBytes": 4096,
        "operators": sorted(ENGINE.operators),
        "prebaked": [{"name": "vibration", "version": "1.0.0"}],
        "flash": FLASH,
    }
    link = {"serial": {"port": "/dev/line", "baud": 115200, "address": ADDRESS}}
    for name, data in {
        "fleet.yaml": document("Fleet", bench.fleet, {}),
        "gateway.yaml": document("Gateway", "hall", {"selector": {}}),
        "type.yaml": document("DeviceType", "bench", kind),
        "model.yaml": document("Model", "vibration", {"version": "1.0.0", "source": source}),
        "model.json": MODEL,
        "device.yaml": document("Device", "pump-1", {"type": "bench", "link": link}),
        "../root.hex": bench.root.public_key.hex().encode(),
    }.items():
        (fleet / name).write_bytes(data)

    def make(*options: str) -> Provisioned:
        output = tmp_path / "pump-1.bin"
        line = ["provision", "pump-1", str(fleet), "--root", str(tmp_path / "root.hex"), "--out", str(output)]
        result = CliRunner().invoke(cli, [*line, "--store", str(tmp_path / "store"), *options])
        assert result.exit_code == 0, (result.output, result.exception)
        subprocess.run(["patch", "-p1", "-s"], cwd=fleet, input=result.stdout, text=True, check=True)
        said = yaml.safe_load((fleet / "device.yaml").read_text(encoding="utf-8"))["spec"]["publicKey"]
        target = identifiers.target(bench.fleet, "pump-1", ENGINE)
        nobody = Identity(
            target.vendor, target.klass, target.device, bench.root.public_key, bytes(32), "bench", bench.fleet, "pump-1"
        )
        return Provisioned(nobody, target, output.read_bytes(), bytes.fromhex(said))

    return make


def check(device: SerialDevice, bench: Bench, made: Provisioned) -> None:
    """It says who it is with the key that Git knows, runs what it was born with, and takes what the root allows."""
    reported = ask(device, made, ReportKind.CAPABILITIES)
    assert isinstance(reported, CapabilitiesBody)
    baked = digest16(threshold_pack_from_json(MODEL))
    assert (reported.type, reported.class_id, reported.prebaked) == ("bench", made.target.klass, (baked,))
    before = report_of(device, made)
    assert (before.location, before.why, before.running) == (
        ModelLocation.PREBAKED,
        DecisionReason.FELL_BACK_TO_PREBAKED,
        baked,
    )
    assert before.sequence == 0
    outcome, _ = update(device, made, job(made, bench.install(made, NEW, 1), NEW, before))
    assert isinstance(outcome, Confirmed), outcome
    assert report_of(device, made).running == digest16(NEW)


def test_a_virtual_device(vdev_program: Path, bench: Bench, provisioned: Callable[..., Provisioned]) -> None:
    made = provisioned()
    with Vdev(vdev_program, [made], (), "--line", "unix:{folder}/line") as vdev, vdev.line("line") as line:
        check(SerialDevice(line, ADDRESS), bench, made)


@pytest.mark.emulator
def test_an_emulated_board_from_a_file_of_its_whole_flash(
    make_board: Callable[[bytes], Board], bench: Bench, provisioned: Callable[..., Provisioned]
) -> None:
    made = provisioned("--whole")
    assert len(made.data) == FLASH["bytes"]
    check(SerialDevice(make_board(made.data).uart, ADDRESS), bench, made)
