# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet provision`: from the fleet repository to a chip or a file, and the public key back into Git."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from intelhex import IntelHex

from demo.world import document, threshold_model
from reconciler.cli import cli
from reconciler.compiler.threshold.threshold_json import threshold_pack_from_json
from reconciler.devices.esp_flasher import WriteFailed, WrongChip
from reconciler.devices.flash_image import HEADER_BYTES
from reconciler.devices.initial_flash_content import NotProvisionable
from reconciler.errors import Invalid, Unusable
from reconciler.git.proposal import ProposalFailed
from reconciler.load.scalar_edit import NotEditable
from signing import keys
from signing.identifiers import key_id
from tests.devices.fake_esp_chip import Chip, Faults

MODEL = threshold_model([3, -5, 2] * 20, 900)
FLASH = {
    "chip": "esp32c3",
    "bytes": 4 << 20,
    "provisioned": {"offset": 0x200000, "bytes": 0x10000},
    "journal": {"offset": 0x210000, "bytes": 0x4000},
}
PICO_FLASH = {
    "address": 0x10000000,
    "uf2Family": "rp2040",
    "bytes": 2 << 20,
    "provisioned": {"offset": 0x100000, "bytes": 0x20000},
    "journal": {"offset": 0x120000, "bytes": 0x4000},
}
DEVICES = """\
# The hall's pumps.
apiVersion: tinyfleet/v1alpha1
kind: Device
metadata: {name: pump-1}
spec:
  type: sensor  # with a chip
  link: {serial: {port: /dev/line, baud: 2400, address: 7}}
---
apiVersion: tinyfleet/v1alpha1
kind: Device
metadata: {name: pico-1}
spec: {type: pico, link: {serial: {port: /dev/line, baud: 2400, address: 9}}}
---
apiVersion: tinyfleet/v1alpha1
kind: Device
metadata: {name: pump-2}
spec: {type: plain, link: {serial: {port: /dev/line, baud: 2400, address: 8}}}
"""


def _kind(name: str, flash: dict[str, object] | None) -> bytes:
    spec = {
        "architecture": "rv32imc",
        "slotBytes": 65536,
        "arenaBytes": 1024,
        "operators": ["THRESHOLD"],
        "prebaked": [{"name": "vibration", "version": "1.0.0"}],
        **({"flash": flash} if flash else {}),
    }
    return document("DeviceType", name, spec)


class Desk:
    """A fleet repository, a public root key and an artifact store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.fleet = folder, folder / "fleet"
        self.root = keys.generate()
        (folder / "root.pub.pem").write_bytes(keys.public_pem(self.root.public_key))
        source = {"path": "vibration.json", "sha256": _sha256(MODEL)}
        spec = {"version": "1.0.0", "source": source, "needs": {"operators": ["THRESHOLD"]}}
        files = {
            "fleet.yaml": document("Fleet", "plant", {}),
            "gateway.yaml": document("Gateway", "hall", {"selector": {}}),
            "types.yaml": b"---\n".join((_kind("sensor", FLASH), _kind("plain", None), _kind("pico", PICO_FLASH))),
            "model.yaml": document("Model", "vibration", spec),
            "vibration.json": MODEL,
            "devices.yaml": DEVICES.encode(),
        }
        self.fleet.mkdir()
        for name, data in files.items():
            (self.fleet / name).write_bytes(data)

    def run(self, line: str) -> Result:
        line = line.format(d=self.folder)
        rest = [] if "--dry-run" in line else ["--root", str(self.folder / "root.pub.pem")]
        store = ["--store", str(self.folder / "store")]
        return CliRunner().invoke(cli, ["provision", *line.split(), *rest, *store])

    def done(self, line: str) -> Result:
        result = self.run(line)
        assert result.exit_code == 0, (result.output, result.exception)
        return result

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.fleet, check=True, capture_output=True, text=True)
        return done.stdout

    def committed(self) -> None:
        self.git("init", "-q", "-b", "main")
        for name, value in (("user.name", "someone"), ("user.email", "someone@plant")):
            self.git("config", name, value)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    return Desk(tmp_path)


def _public_key(region: bytes) -> str:
    """Read the public key of the device from a valid region."""
    assert zlib.crc32(region[:636]) == int.from_bytes(region[636:640], "little")
    return region[88:120].hex()


def _key_in(devices: str, name: str) -> object:
    (found,) = (each for each in yaml.safe_load_all(devices) if each["metadata"]["name"] == name)
    return found["spec"].get("publicKey")


def test_a_dry_run_shows_the_map_and_makes_nothing(desk: Desk) -> None:
    shown = desk.done("pump-1 {d}/fleet --dry-run").stdout.splitlines()[1:]
    pack = threshold_pack_from_json(MODEL)
    assert [line.split()[:2] for line in shown] == [
        ["0x00200000", "640"],
        ["0x00200280", str(len(pack))],
        [f"{0x200280 + len(pack):#010x}", str(0x10000 - 640 - len(pack))],
        ["0x00210000", "16384"],
    ]
    assert _sha256(pack) in shown[1]
    assert "vibration@1.0.0" in shown[1]
    assert desk.done("pump-2 {d}/fleet --dry-run").stdout.splitlines()[1].startswith("0x00000000")


def test_a_private_file_and_the_patch(desk: Desk) -> None:
    patch = desk.done("pump-1 {d}/fleet --out {d}/pump-1.bin").stdout
    path = desk.folder / "pump-1.bin"
    assert path.stat().st_mode & 0o777 == 0o600
    region = path.read_bytes()
    assert region[HEADER_BYTES:] == threshold_pack_from_json(MODEL)
    assert region[56:88] == desk.root.public_key
    assert region[152] == 7
    subprocess.run(["patch", "-p1", "-s"], cwd=desk.fleet, input=patch, text=True, check=True)
    edited = (desk.fleet / "devices.yaml").read_text(encoding="utf-8")
    assert _key_in(edited, "pump-1") == _public_key(region)
    assert edited.replace(f'  publicKey: "{_public_key(region)}"\n', "") == DEVICES
    assert region[120:152].hex() not in patch  # the seed


def test_a_file_is_never_overwritten(desk: Desk) -> None:
    (desk.folder / "here").write_bytes(b"something")
    error = desk.run("pump-1 {d}/fleet --out {d}/here").exception
    assert isinstance(error, Unusable)
    assert "already exists" in str(error)
    assert (desk.folder / "here").read_bytes() == b"something"


def test_the_whole_flash_in_a_file(desk: Desk) -> None:
    desk.done("pump-1 {d}/fleet --out {d}/whole.bin --whole")
    whole = (desk.folder / "whole.bin").read_bytes()
    assert len(whole) == 4 << 20
    assert whole[:0x200000] == b"\xff" * 0x200000
    assert _public_key(whole[0x200000:])
    assert isinstance(desk.run("pump-2 {d}/fleet --out {d}/b --whole").exception, NotProvisionable)


def test_a_chip_and_a_commit(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.committed()
    with Chip("esp32c3") as chip:
        chip.flash.size = 4 << 20
        chip.flash.data[0x210000:0x214000] = bytes(0x4000)
        result = desk.done(f"pump-1 {{d}}/fleet --port {chip.port} --commit")
        region = bytes(chip.flash.data[0x200000:0x210000])
        assert chip.flash.data[0x210000:0x214000] == b"\xff" * 0x4000
    public = _public_key(region)
    assert f"key {key_id(bytes.fromhex(public)).hex()}" in result.stderr
    assert result.stdout.split()[2:4] == ["on", "provision/pump-1;"]
    assert _key_in(desk.git("show", "provision/pump-1:devices.yaml"), "pump-1") == public
    assert _key_in(desk.git("show", "main:devices.yaml"), "pump-1") is None
    assert desk.git("status", "--porcelain") == ""
    seed = region[120:152]
    for said in (result.output, caplog.text, repr(result), desk.git("log", "--all", "-p")):
        assert seed.hex() not in said
        assert str(seed) not in said


def test_nothing_is_committed_if_the_cable_is_pulled_and_the_command_can_be_repeated(desk: Desk) -> None:
    desk.committed()
    faults = Faults(pull_cable_at_block=0)
    with Chip("esp32c3", faults=faults) as chip:
        chip.flash.size = 4 << 20
        error = desk.run(f"pump-1 {{d}}/fleet --port {chip.port} --commit").exception
        assert isinstance(error, WriteFailed)
    assert desk.git("branch", "--list", "provision/*") == ""
    with Chip("esp32c3", chip.flash) as chip:
        desk.done(f"pump-1 {{d}}/fleet --port {chip.port} --commit --no-stub")
        public = _public_key(bytes(chip.flash.data[0x200000:0x210000]))
    assert _key_in(desk.git("show", "provision/pump-1:devices.yaml"), "pump-1") == public


def test_the_wrong_chip_gets_nothing(desk: Desk) -> None:
    with Chip("esp32s3") as chip:
        error = desk.run(f"pump-1 {{d}}/fleet --port {chip.port}").exception
        assert isinstance(error, WrongChip)
        assert chip.flash.log == []
    error = desk.run("pump-2 {d}/fleet --port /dev/null").exception
    assert isinstance(error, NotProvisionable)
    assert "flash.chip" in str(error)


def test_each_run_creates_another_key(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.done(f"pump-2 {{d}}/fleet --out {{d}}/{name}")
    regions = [(desk.folder / name).read_bytes() for name in ("a", "b")]
    assert _public_key(regions[0]) != _public_key(regions[1])
    assert regions[0][120:152] != regions[1][120:152]


def test_a_provisioned_device_gets_a_new_key(desk: Desk) -> None:
    devices = desk.fleet / "devices.yaml"
    devices.write_text(DEVICES.replace("type: plain", f'type: plain, publicKey: "{"ab" * 32}"'), encoding="utf-8")
    result = desk.done("pump-2 {d}/fleet --out {d}/a")
    assert "the new key replaces it" in result.stderr
    assert "ab" * 32 in result.stdout  # the line that the patch removes


def test_a_repository_that_cannot_be_committed_to_is_reported_before_a_key_is_created(desk: Desk) -> None:
    error = desk.run("pump-2 {d}/fleet --out {d}/a --commit").exception
    assert isinstance(error, ProposalFailed)
    desk.committed()
    with (desk.fleet / "devices.yaml").open("a", encoding="utf-8") as file:
        file.write("# more\n")
    error = desk.run("pump-2 {d}/fleet --out {d}/a --commit").exception
    assert isinstance(error, ProposalFailed)
    assert "uncommitted changes" in str(error)
    assert not (desk.folder / "a").exists()


def test_a_file_that_cannot_be_edited_is_reported_before_a_key_is_created(desk: Desk) -> None:
    devices = desk.fleet / "devices.yaml"
    block = '  link: {serial: {port: "/dev/line", baud: 2400, address: 7}}\n  type: |-\n    sensor\n---\n'
    devices.write_text(re.sub(r"  type: sensor(.|\n)*?---\n", lambda _: block, DEVICES), encoding="utf-8")
    assert isinstance(desk.run("pump-1 {d}/fleet --out {d}/a").exception, NotEditable)
    assert not (desk.folder / "a").exists()


def test_an_impossible_flash_map_is_reported_before_a_key_is_created(desk: Desk) -> None:
    small = {**FLASH, "provisioned": {"offset": 0x20F000, "bytes": 0x2000}}
    (desk.fleet / "types.yaml").write_bytes(
        _kind("sensor", small) + b"---\n" + _kind("plain", None) + b"---\n" + _kind("pico", PICO_FLASH)
    )
    for line in ("--dry-run", "--out {d}/a"):
        error = desk.run(f"pump-1 {{d}}/fleet {line}").exception
        assert isinstance(error, NotProvisionable)
        assert "overlap" in str(error)
    assert not (desk.folder / "a").exists()


def test_a_patch_for_a_file_without_final_newline(desk: Desk) -> None:
    devices = desk.fleet / "devices.yaml"
    devices.write_text(DEVICES.rstrip("\n"), encoding="utf-8")
    patch = desk.done("pump-2 {d}/fleet --out {d}/a").stdout
    assert "\\ No newline at end of file" in patch
    subprocess.run(["patch", "-p1", "-s"], cwd=desk.fleet, input=patch, text=True, check=True)
    assert _key_in(devices.read_text(encoding="utf-8"), "pump-2")


@pytest.mark.parametrize(
    "line",
    [
        "pump-1 {d}/fleet",
        "pump-1 {d}/fleet --dry-run --port /dev/null",
        "pump-1 {d}/fleet --out {d}/a --port /dev/null",
    ],
)
def test_incomplete_or_contradictory_command_lines(desk: Desk, line: str) -> None:
    assert desk.run(line).exit_code == 2


def test_the_root_key_is_required(desk: Desk) -> None:
    result = CliRunner().invoke(cli, ["provision", "pump-1", str(desk.fleet), "--out", os.devnull])
    assert result.exit_code == 2
    assert "--root is required" in result.output


def test_a_repository_with_errors(desk: Desk) -> None:
    (desk.fleet / "gateway.yaml").unlink()
    error = desk.run("pump-1 {d}/fleet --dry-run").exception
    assert isinstance(error, Invalid)
    assert "has errors" in str(error)


def test_intel_hex_has_both_regions_at_their_addresses(desk: Desk) -> None:
    desk.done("pico-1 {d}/fleet --out {d}/pico-1.hex")
    written = IntelHex(str(desk.folder / "pico-1.hex"))
    (first, end), journal = written.segments()
    assert first == 0x10100000
    assert journal == (0x10120000, 0x10124000)
    assert _public_key(written.tobinstr(start=first, end=end - 1))
    assert set(written.tobinstr(start=journal[0], end=journal[1] - 1)) == {0xFF}
    assert (desk.folder / "pico-1.hex").stat().st_mode & 0o077 == 0


def test_a_uf2_file_is_for_the_family_of_the_type(desk: Desk) -> None:
    desk.done("pico-1 {d}/fleet --out {d}/pico-1.uf2")
    file = (desk.folder / "pico-1.uf2").read_bytes()
    assert (file[:4], int.from_bytes(file[12:16], "little")) == (b"UF2\n", 0x10100000)
    assert int.from_bytes(file[28:32], "little") == 0xE48BFF56


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("pump-1 {d}/fleet --out {d}/x.uf2", "no `flash.uf2Family`"),
        ("pump-2 {d}/fleet --out {d}/x.hex", "no `flash`"),
        ("pico-1 {d}/fleet --out {d}/x.hex --whole", "leave out --whole"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(desk: Desk, line: str, why: str) -> None:
    result = desk.run(line)
    assert isinstance(result.exception, NotProvisionable)
    assert why in str(result.exception)
    assert not list(desk.folder.glob("x.*"))


def test_a_batch_is_one_file_a_device_and_one_commit(desk: Desk) -> None:
    desk.committed()
    (desk.folder / "first-lot.txt").write_text("# the first lot\npico-1\npump-1  # of another type\n")
    result = desk.done("--batch {d}/first-lot.txt {d}/fleet --out {d}/lot/{{device}}.hex --commit --output json")
    made = json.loads(result.stdout)
    assert [each["device"] for each in made["devices"]] == ["pico-1", "pump-1"]
    assert made["branch"] == "provision/first-lot"
    committed = desk.git("show", "provision/first-lot:devices.yaml")
    for each, start in zip(made["devices"], (0x10100000, 0x200000), strict=True):
        file = Path(each["file"])
        assert (file.name, file.stat().st_mode & 0o777) == (f"{each['device']}.hex", 0o600)
        assert _public_key(IntelHex(str(file)).tobinstr(start=start, size=640)) == each["publicKey"]
        assert _key_in(committed, each["device"]) == each["publicKey"]
    assert _key_in(committed, "pump-2") is None
    assert desk.git("rev-list", "--count", "main..provision/first-lot").strip() == "1"
    assert "pump-1: " in desk.git("log", "-1", "--format=%b", "provision/first-lot")
    assert "2/2" in result.stderr


def test_a_batch_without_commit_is_one_patch(desk: Desk) -> None:
    (desk.folder / "lot.txt").write_text("pump-1\npump-2\n")
    patch = desk.done("--batch {d}/lot.txt {d}/fleet --out {d}/{{device}}.bin").stdout
    subprocess.run(["patch", "-p1", "-s"], cwd=desk.fleet, input=patch, text=True, check=True)
    edited = (desk.fleet / "devices.yaml").read_text(encoding="utf-8")
    for name in ("pump-1", "pump-2"):
        assert _key_in(edited, name) == _public_key((desk.folder / f"{name}.bin").read_bytes())


@pytest.mark.parametrize(
    ("names", "options", "why"),
    [
        ("pump-1\npump-1\n", "--out {d}/{{device}}.bin", "pump-1 twice"),
        ("# nobody\n", "--out {d}/{{device}}.bin", "names no device"),
        ("pump-1\npump-9\n", "--out {d}/{{device}}.bin", "pump-9"),
        ("pico-1\npump-1\n", "--out {d}/{{device}}.txt", "exists already"),
    ],
)
def test_a_batch_with_a_mistake_writes_nothing(desk: Desk, names: str, options: str, why: str) -> None:
    (desk.folder / "lot.txt").write_text(names)
    (desk.folder / "pump-1.txt").write_text("something")
    result = desk.run("--batch {d}/lot.txt {d}/fleet " + options)
    assert result.exit_code != 0
    assert why in str(result.exception)
    assert sorted(path.name for path in desk.folder.glob("p*.*")) == ["pump-1.txt"]


@pytest.mark.parametrize("options", ["--out {d}/one.bin", "--port /dev/null", "--out {d}/{{device}}.bin --dry-run"])
def test_a_batch_takes_a_file_for_each_device(desk: Desk, options: str) -> None:
    (desk.folder / "lot.txt").write_text("pump-1\n")
    result = desk.run("--batch {d}/lot.txt {d}/fleet " + options)
    assert result.exit_code == 2
