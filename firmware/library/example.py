# SPDX-License-Identifier: Apache-2.0
"""Builds the example without an operating system from the library, to measure what the library costs."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from firmware.library.archives import write
from firmware.library.contents import FIRMWARE
from firmware.tools.fetch_third_party import fetch

ELF = FIRMWARE / "build" / "library-example" / "vibration-alarm.elf"


def build() -> Path:
    """Unpack the archive, build the example for the Cortex-M4, and return the program."""
    third_party = FIRMWARE / "build" / "third_party"
    fetch(third_party)
    ELF.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        subprocess.run(["tar", "-xzf", write(work, third_party)[0], "-C", work], check=True)
        example, build_folder = work / "tinyfleet" / "examples" / "bare-metal", work / "build"
        toolchain = f"-DCMAKE_TOOLCHAIN_FILE={example / 'board' / 'toolchain-arm.cmake'}"
        commands: tuple[list[str | Path], ...] = (
            ["cmake", "-G", "Ninja", "-S", example, "-B", build_folder, "-DBOARD=mps2-an386", toolchain],
            ["cmake", "--build", build_folder],
        )
        for command in commands:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        complete = ELF.with_name(f"{work.name}.elf")  # builds at the same time replace the program, never a part of it
        complete.write_bytes((build_folder / ELF.name).read_bytes())
        complete.replace(ELF)
    return ELF


if __name__ == "__main__":
    build()
