# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware that speaks MQTT over TLS, from the source library as its users get it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Final

from firmware.library.contents import contents
from firmware.tools import fetch_third_party

FIRMWARE: Final = Path(__file__).resolve().parent.parent
BUILD: Final = FIRMWARE / "build" / "network"
ELF: Final = BUILD / "tinyfleet-network.elf"


class NetworkBuildError(Exception):
    """The firmware can't be built. The message has the output of the build."""


def build() -> Path:
    """Build what has changed, and return the program. Builds at the same time take turns."""
    library, third_party = FIRMWARE / "build" / "network-library", FIRMWARE / "build" / "third_party"
    fetch_third_party.fetch(third_party)
    library.mkdir(parents=True, exist_ok=True)
    with (library / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _unpack(contents(third_party), library)
        toolchain = FIRMWARE / "cmake" / "toolchain-arm.cmake"
        definitions = {"LIBRARY": library, "Python3_EXECUTABLE": sys.executable, "CMAKE_TOOLCHAIN_FILE": toolchain}
        options = [f"-D{name}={value}" for name, value in definitions.items()]
        _run("cmake", "-G", "Ninja", "-S", str(FIRMWARE / "network"), "-B", str(BUILD), *options)
        _run("cmake", "--build", str(BUILD))
    return ELF


def _unpack(files: dict[str, bytes], library: Path) -> None:
    """Write what differs, so that nothing else is built again."""
    for name, data in files.items():
        path = library / name
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in [path for path in library.rglob("*") if path.is_file()]:
        if str(path.relative_to(library)) not in files and path.name != ".lock":
            path.unlink()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkBuildError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    build()
