# SPDX-License-Identifier: Apache-2.0
"""Devices that run the agent in MicroPython, and their packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reconciler.compiler.micropython.translation import translate
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.package_format import disassemble_package
from reconciler.devices.flash_image import Identity
from reconciler.devices.micropython_files import PrebakedPackage, ReportedLimits, device_files
from signing import identifiers
from tests.firmware.bench import Bench, Made
from tests.micropython.forests import isolation_forest
from tests.micropython.interpreter import AGENT, ON_DEVICE, Interpreter, unix_command

TREE_ENSEMBLE = 16
CONTRACT = identifiers.PackageContract(frozenset({"TREE_ENSEMBLE"}))
SLOT_BYTES = 32768
WINDOW = FeatureWindow(16, 1, (Feature(Statistic.STD, 0, 8, 0, 1 << 8), Feature(Statistic.MAX, 0, 0, -32768, 1)))


def make_package(seed: int) -> bytes:
    """Make a package that differs with the seed."""
    return translate(isolation_forest(seed, WINDOW, trees=3)).data


def window(seed: int) -> bytes:
    """Return the samples of a window."""
    return np.random.default_rng(seed).integers(-900, 900, WINDOW.samples).astype("<i2").tobytes()


def made_device(bench: Bench, name: str, *, address: int = 0) -> Made:
    """Make the identity of a device that runs packages."""
    target = identifiers.target(bench.fleet, name, CONTRACT)
    seed = hashlib.sha256(f"{bench.fleet}/{name}".encode()).digest()
    root = bench.root.public_key
    identity = Identity(target.vendor, target.klass, target.device, root, seed, "bench", bench.fleet, name, address)
    return Made(identity, target)


def provision(folder: Path, made: Made, prebaked: Sequence[bytes], *, slot_bytes: int = SLOT_BYTES) -> None:
    """Write the files of a new device."""
    packages = [
        PrebakedPackage(hashlib.sha256(package).digest(), len(package), disassemble_package(package))
        for package in prebaked
    ]
    for path, data in device_files(
        made.identity, ReportedLimits(slot_bytes, 65536, (TREE_ENSEMBLE,)), packages
    ).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


class MicroPythonDevice:
    """An agent in a process of MicroPython, as tests.firmware.talk expects a device."""

    def __init__(self, folder: Path, *, agent: Path = AGENT) -> None:
        self._process = Interpreter(unix_command(ON_DEVICE / "commands.py", folder), agent=agent)
        self.tell("boot")

    def tell(self, command: str, *arguments: bytes | int) -> str:
        """Give a command; return its answer."""
        return self._process.ask(command, *arguments)

    def say(self, message: bytes) -> None:
        self.ask(message)

    def ask(self, message: bytes) -> bytes | None:
        answer = self.tell("handle", message)
        self.tell("settle")
        return None if answer == "-" else bytes.fromhex(answer)

    def hear(self) -> bytes | None:
        return None

    def let_pass(self, seconds: float) -> None:
        self.tell("pass", int(1000 * seconds))
        self.tell("settle")

    def infer(self, samples: bytes) -> str:
        return self.tell("infer", samples)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.tell("state"))
        return found

    def close(self) -> None:
        self._process.close()
