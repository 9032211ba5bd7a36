# SPDX-License-Identifier: Apache-2.0
"""Write board-check and the firmware of each board as Intel HEX, for programmers that do not take ELF files.

A chip whose boot ROM takes UF2 gets that as well; one that esptool writes, the bytes from the start of its flash.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from firmware.chips.elf import read_segments
from firmware.tools.size_report import FIRMWARE, TARGETS
from reconciler.devices.flash_files import intel_hex, uf2
from reconciler.devices.initial_flash_content import FlashPiece

IMAGES: Final = ("board-check", "tinyfleet")
UF2_PORTS: Final = {"rp2040": "rp2040"}  # port → family
FLASH_IMAGE_PORTS: Final = frozenset({"esp32c3"})


def write_images(built: Path, port: str, into: Path) -> list[Path]:
    """Write the images of one port, and return their files."""
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for name in IMAGES:
        segments = read_segments(built / f"{name}.elf")
        pieces = [FlashPiece(name, address, data) for address, data in sorted(segments.items())]
        files = {"hex": intel_hex(pieces, 0)}
        if (family := UF2_PORTS.get(port)) is not None:
            files["uf2"] = uf2([_joined(pieces)], 0, family)
        if port in FLASH_IMAGE_PORTS:
            files["bin"] = _joined(pieces).data
        for kind, contents in files.items():
            file = into / f"{port}-{name}.{kind}"
            file.write_bytes(contents)
            written.append(file)
    return written


def _joined(pieces: list[FlashPiece]) -> FlashPiece:
    """Return what is written in whole pages: the pieces in one, with erased flash between them."""
    joined = bytearray()
    for piece in pieces:
        joined = joined.ljust(piece.offset - pieces[0].offset, b"\xff") + piece.data
    return FlashPiece(pieces[0].name, pieces[0].offset, bytes(joined))


def main() -> None:
    """Write the images of all ports, which are built already."""
    build = FIRMWARE / "build"
    for target in TARGETS:
        for file in write_images(build / target.preset, target.preset, build / "images"):
            sys.stdout.write(f"{file.relative_to(FIRMWARE.parent)}\n")


if __name__ == "__main__":
    main()
