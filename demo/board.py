# SPDX-License-Identifier: Apache-2.0
"""An emulated Cortex-M4 board: the real firmware under QEMU, a flash file that survives a power cut, and its line."""

from __future__ import annotations

from pathlib import Path

from demo.throttled_line import ThrottledLine
from demo.world import ROOT, Running, World

FIRMWARE = ROOT / "firmware" / "build" / "mps2-an386" / "tinyfleet.elf"
FLASH_BYTES = 16 << 20  # of the emulated memory; the board uses the first part
PROVISIONED = {"offset": 0, "bytes": 0x20000}  # as in firmware/ports/mps2-an386/flash.c
JOURNAL = {"offset": 0x20000, "bytes": 0x4000}
SLOT_BYTES, ARENA_BYTES = 0x40000, 32768
# The block marks (docs/specs/flash.md, section 3) come after the marks of the erase units of the slot.
WRITE_BYTES, ERASE_BYTES = 8, 4096
BLOCK_MARKS_AT, MARKS_END = 0x24000 + SLOT_BYTES // ERASE_BYTES * WRITE_BYTES, 0x2D000


class Board:
    """The board and its serial line. Without power it keeps only its flash."""

    def __init__(self, world: World, flash: Path, baud: int) -> None:
        self._world = world
        self._flash = flash
        self._uart = world.folder / "uart"
        self._process: Running | None = None
        self.line_end = world.folder / "line"
        self.line = ThrottledLine(self.line_end, self._uart, baud)

    def switch_on(self) -> None:
        """Switch the power on."""
        memory = f"memory-backend-file,id=flash,size={FLASH_BYTES},mem-path={self._flash},share=on"
        machine = ("-M", "mps2-an386,memory-backend=flash", "-object", memory, "-kernel", FIRMWARE)
        outside = ("-display", "none", "-monitor", "none", "-nodefaults", "-serial")
        uart = f"unix:{self._uart},server=on,wait=off"
        self._process = self._world.start("board", "qemu-system-arm", *machine, *outside, uart)

    def switch_off(self) -> None:
        """Cut the power, whatever the board is doing."""
        if self._process is not None:
            self._process.kill()

    def blocks_held(self) -> int:
        """Count the block marks in flash: the completely written blocks of the last transfer."""
        with self._flash.open("rb") as file:
            file.seek(BLOCK_MARKS_AT)
            marks = file.read(MARKS_END - BLOCK_MARKS_AT)
        unset = b"\xff" * WRITE_BYTES
        return sum(marks[at : at + WRITE_BYTES] != unset for at in range(0, len(marks), WRITE_BYTES))
