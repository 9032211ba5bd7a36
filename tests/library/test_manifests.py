# SPDX-License-Identifier: Apache-2.0
"""The archives and their manifests, which package managers of the SDKs read, as far as can be checked without them."""

from __future__ import annotations

import json
import re
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import yaml

from firmware.library.archives import write
from firmware.library.contents import version
from tests.library.conftest import FIRMWARE

SEMANTIC = re.compile(r"\d+\.\d+\.\d+")
#: The targets of ESP-IDF 5 that have 400 KB of RAM or less to spare and a released toolchain.
ESP_TARGETS = {
    "esp32",
    "esp32c2",
    "esp32c3",
    "esp32c5",
    "esp32c6",
    "esp32c61",
    "esp32h2",
    "esp32p4",
    "esp32s2",
    "esp32s3",
}
ARDUINO_CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage"),
    *("Data Processing", "Other"),
}


def test_the_same_tree_gives_the_same_archives(archives: list[Path], tmp_path: Path) -> None:
    again = write(tmp_path, FIRMWARE / "build" / "third_party")
    assert [path.name for path in again] == [path.name for path in archives]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in archives]


def test_all_archives_have_the_same_files(archives: list[Path]) -> None:
    with (
        tarfile.open(archives[0]) as tar,
        zipfile.ZipFile(archives[1]) as arduino,
        zipfile.ZipFile(archives[2]) as pack,
    ):
        files = {name.removeprefix("tinyfleet/") for name in tar.getnames()}
        assert {name.removeprefix("tinyfleet/") for name in arduino.namelist()} == files
        assert set(pack.namelist()) - {"tinyfleet.tinyfleet.pdsc"} == files - {"tinyfleet.pdsc"}


def test_third_party_code_comes_with_its_licence(unpacked: Path) -> None:
    assert (unpacked / "src" / "monocypher.c").is_file()
    assert "dual-licensed" in (unpacked / "LICENSE.monocypher").read_text()
    assert "Apache License" in (unpacked / "LICENSE").read_text()


def test_no_third_party_code_is_in_the_repository() -> None:
    assert not list((FIRMWARE / "library").rglob("monocypher*"))


def test_no_placeholder_is_left(unpacked: Path) -> None:
    texts = [path for path in unpacked.rglob("*") if path.is_file() and path.suffix not in {".c", ".h"}]
    assert [path.name for path in texts if re.search(rb"@[A-Z_]+@", path.read_bytes())] == []


def test_manifest_of_esp_idf(unpacked: Path) -> None:
    manifest = yaml.safe_load((unpacked / "idf_component.yml").read_text())
    assert manifest["version"] == version()
    assert SEMANTIC.fullmatch(manifest["version"])
    assert set(manifest["targets"]) <= ESP_TARGETS
    assert manifest["dependencies"].keys() == {"idf"}
    assert all((unpacked / example["path"] / "CMakeLists.txt").is_file() for example in manifest["examples"])


def test_partition_table_of_the_esp_idf_example(unpacked: Path) -> None:
    rows = [
        [field.strip() for field in line.split(",")]
        for line in (unpacked / "examples/esp-idf/partitions.csv").read_text().splitlines()
        if not line.startswith("#")
    ]
    end = 0
    for _name, kind, _subtype, offset, size in rows:
        assert int(offset, 16) >= end
        assert kind != "app" or int(offset, 16) % 0x10000 == 0
        end = int(offset, 16) + int(size, 16)
    assert end <= 4 << 20  # CONFIG_ESPTOOLPY_FLASHSIZE_4MB
    assert rows[-1][0] == "tinyfleet"


@pytest.mark.parametrize(("folder", "source"), [(".", "esp-idf/component.cmake"), ("zephyr", "zephyr/CMakeLists.txt")])
def test_every_option_that_a_build_uses_is_in_its_kconfig(unpacked: Path, folder: str, source: str) -> None:
    defined = set(re.findall(r"^\s*config (\w+)$", (unpacked / folder / "Kconfig").read_text(), re.MULTILINE))
    code = (unpacked / source).read_text() + "".join(path.read_text() for path in unpacked.glob(f"{folder}/*.c"))
    used = set(re.findall(r"CONFIG_(TINYFLEET\w*)", code))
    assert used
    assert used <= defined


def test_manifest_of_zephyr(unpacked: Path) -> None:
    manifest = yaml.safe_load((unpacked / "zephyr" / "module.yml").read_text())
    assert manifest.keys() == {"name", "build"}
    assert (unpacked / manifest["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (unpacked / manifest["build"]["kconfig"]).is_file()


def test_manifest_of_platformio(unpacked: Path) -> None:
    manifest = json.loads((unpacked / "library.json").read_text())
    assert manifest["version"] == version()
    assert (unpacked / manifest["build"]["includeDir"] / manifest["headers"]).is_file()
    for example in manifest["examples"]:
        assert all((unpacked / example["base"] / name).is_file() for name in example["files"])


def test_manifest_of_arduino(unpacked: Path) -> None:
    lines = (unpacked / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    required = ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures")
    assert all(properties[name] for name in required)
    assert properties["version"] == version()
    assert properties["category"] in ARDUINO_CATEGORIES
    sketches = list((unpacked / "examples").rglob("*.ino"))
    assert sketches
    assert all(sketch.stem == sketch.parent.name for sketch in sketches)


def test_description_of_the_cmsis_pack(archives: list[Path]) -> None:
    vendor, name, *_ = archives[2].name.split(".")
    with zipfile.ZipFile(archives[2]) as pack:
        package = ET.fromstring(pack.read(f"{vendor}.{name}.pdsc"))  # noqa: S314 # we made it
        names = set(pack.namelist())
    assert (package.findtext("vendor"), package.findtext("name")) == (vendor, name)
    listed = [file.attrib["name"] for file in package.iter("file") if file.attrib["category"] != "include"]
    assert set(listed) <= names
    sources = {str(PurePosixPath(each)) for each in names if each.startswith("src/") and each.endswith(".c")}
    assert sources <= set(listed)
    assert package.find("releases/release").attrib["version"] == version()  # type: ignore[union-attr]
    conditions = {condition.attrib["id"] for condition in package.iter("condition")}
    assert {component.attrib["condition"] for component in package.iter("component")} <= conditions


@pytest.mark.parametrize(
    "example",
    [
        *("bare-metal/main.c", "esp-idf/main/main.c", "zephyr/src/main.c", "VibrationAlarm/VibrationAlarm.ino"),
    ],
)
def test_examples_are_short(unpacked: Path, example: str) -> None:
    assert len((unpacked / "examples" / example).read_text().splitlines()) < 100
