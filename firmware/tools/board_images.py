# SPDX-License-Identifier: Apache-2.0
"""Write board-check and the firmware of each board as Intel HEX, for programmers that do not take ELF files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from firmware.chips.elf import read_segments
from firmware.tools.size_report import FIRMWARE, TARGETS
from reconciler.devices.flash_files import intel_hex
from reconciler.devices.initial_flash_content import FlashPiece

IMAGES: Final = ("board-check", "tinyfleet")


def write_images(built: Path, port: str, into: Path) -> list[Path]:
    """Write the images of one port, and return their files."""
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for name in IMAGES:
        segments = read_segments(built / f"{name}.elf")
        pieces = [FlashPiece(name, address, data) for address, data in sorted(segments.items())]
        file = into / f"{port}-{name}.hex"
        file.write_bytes(intel_hex(pieces, 0))
        written.append(file)
    return written


def main() -> None:
    """Write the images of all ports, which are built already."""
    build = FIRMWARE / "build"
    for target in TARGETS:
        for file in write_images(build / target.preset, target.preset, build / "images"):
            sys.stdout.write(f"{file.relative_to(FIRMWARE.parent)}\n")


if __name__ == "__main__":
    main()
