# SPDX-License-Identifier: Apache-2.0
"""The folder that is copied to a board with MicroPython: agent, identity, link and pre-baked packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.pack.package_format import disassemble_package
from reconciler.devices.flash_image import Identity
from reconciler.devices.initial_flash_content import NotProvisionable
from reconciler.devices.micropython_files import PrebakedPackage, ReportedLimits, device_files
from reconciler.model import Device, DeviceType, ModelRef, SerialAddress
from signing import key_files

DEVICE_FOLDER = "device"  # main.py passes it to the agent
MAIN = "main.py"
DEFAULT_PORT = 8883
_SERIAL_PORT = 1  # the number of the board's UART


@dataclass(frozen=True, slots=True)
class FolderRow:
    """One line of the list of files that people read."""

    path: str
    length: int
    what: str


def map_of(refs: Sequence[ModelRef], packages: Sequence[bytes]) -> tuple[FolderRow, ...]:
    """Describe the files; this needs no key."""
    agent = sum(map(len, agent_files().values()))
    rows = [FolderRow(f"tinyfleet, {MAIN}", agent, "the agent")]
    for number, (ref, package) in enumerate(zip(refs, packages, strict=True)):
        digest = hashlib.sha256(package).hexdigest()
        rows.append(FolderRow(f"{DEVICE_FOLDER}/prebaked_{number}", len(package), f"{ref}, sha256 {digest}"))
    return tuple(rows)


def agent_files() -> dict[str, bytes]:
    """Return the agent and main.py, by their path on the board."""
    packaged = files("reconciler") / "micropython"
    source: Traversable = packaged if packaged.is_dir() else Path(__file__).parents[2] / "micropython"
    agent = source / "tinyfleet"
    found = {f"tinyfleet/{file.name}": file.read_bytes() for file in agent.iterdir() if file.name.endswith(".py")}
    return {MAIN: (source / MAIN).read_bytes(), **dict(sorted(found.items()))}


def settings_of(device: Device, broker: str | None) -> dict[str, object]:
    """Return what the board must know about its link."""
    if isinstance(device.link, SerialAddress):
        return {"uart": _SERIAL_PORT, "baud": device.link.baud}
    if broker is None:
        raise NotProvisionable(f"{device.name} is reached over MQTT: state the address of the broker with --broker")
    host, _, port = broker.partition(":")
    if not host or not (port or str(DEFAULT_PORT)).isdecimal():
        raise NotProvisionable(f"--broker {broker}: expected HOST or HOST:PORT")
    return {"host": host, "port": int(port or DEFAULT_PORT), "tls": True}


def folder_files(
    identity: Identity, kind: DeviceType, packages: Sequence[bytes], settings: Mapping[str, object]
) -> dict[str, bytes]:
    """Return all files, by their path on the board."""
    numbers = {name: number for number, name in NAMES.items()}
    limits = ReportedLimits(kind.slot_bytes, kind.arena_bytes, [numbers[name] for name in kind.operators])
    prebaked = [
        PrebakedPackage(hashlib.sha256(package).digest(), len(package), disassemble_package(package))
        for package in packages
    ]
    described = {
        **device_files(identity, limits, prebaked),
        "settings.json": json.dumps(settings, indent=1).encode() + b"\n",
    }
    return agent_files() | {f"{DEVICE_FOLDER}/{path}": data for path, data in described.items()}


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write the files with mode 0600, and overwrite none: one of them has the private key."""
    for path, data in content.items():
        key_files.write_private(folder / path, data)
