# SPDX-License-Identifier: Apache-2.0
"""What growing a forest costs on a device, and how good the forest is: `make bench-learning`.

Forests grow on emulated boards (firmware/runner/grow_bench.c), in the library for Linux and in the reference, from
windows of generated bearings. scikit-learn grows others from the same rows.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.bearings.dataset import generated
from bench.learning_auc import FORM, WORN, Rows, auc_figures, rows_of
from reconciler.compiler.pack.learn_section import scratch_bytes
from reconciler.compiler.reference.growing import grow_forest
from tests.firmware.growing import grown_on_host

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware" / "build"
SEED = 1
TIMEOUT_S = 600
# That of the gap holds for its upper end.
BARS = {"grow_instructions_t50": 4.5e6, "grow_scratch_bytes": 600, "grow_auc_gap": 0.005}


@dataclass(frozen=True)
class Board:
    """An emulated board whose instructions are counted, and where it expects the request."""

    name: str
    command: tuple[str, ...]
    request_at: int


BOARDS = (
    Board(
        "mps2-an386",
        ("qemu-system-arm", "-M", "mps2-an386", "-nic", "user,restrict=on", "-icount", "shift=5", "-kernel"),
        0x21000000,
    ),
    Board(
        "riscv32-virt",
        ("qemu-system-riscv32", "-M", "virt", "-smp", "1", "-m", "64M", "-icount", "shift=0", "-bios"),
        0x80400000,
    ),
)


def grown_on(board: Board, rows: Rows, seed: int) -> tuple[int, bytes]:
    """Return the instructions of growing on a board, and the section."""
    request = struct.pack("<6I", FORM.features, FORM.trees, FORM.subsample, FORM.threshold_bits, seed, len(rows))
    ours, uart = socket.socketpair()
    with tempfile.NamedTemporaryFile() as file, ours, ours.makefile("rb") as answer:
        file.write(request + rows.astype("<u2").tobytes())
        file.flush()
        ours.settimeout(TIMEOUT_S)
        command = [
            *(*board.command, str(FIRMWARE / board.name / "grow-bench.elf")),
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-device", f"loader,file={file.name},addr={board.request_at:#x},force-raw=on"),
            *("-chardev", f"socket,id=uart,fd={uart.fileno()}", "-serial", "chardev:uart"),
        ]
        with uart:
            process = subprocess.Popen(command, pass_fds=(uart.fileno(),))
        try:
            instructions, size = struct.unpack("<Ii", answer.read(8))
            return instructions, answer.read(max(0, size))
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Print the figures, and fail when one misses its bar."""
    run = generated()
    rows = rows_of(run, next(iter(WORN))).rows
    expected = grow_forest(rows.tolist(), FORM, SEED)
    counted = {board.name: grown_on(board, rows, SEED) for board in BOARDS}
    sections = [section for _, section in counted.values()] + [grown_on_host(rows.tolist(), FORM, SEED)]
    same = sum(section == expected for section in sections)
    figures: dict[str, float] = {f"grow_instructions_t50_{name}": count for name, (count, _) in counted.items()}
    figures["grow_instructions_t50"] = counted["mps2-an386"][0]
    figures["grow_scratch_bytes"] = scratch_bytes(FORM.subsample, FORM.features)
    figures["grow_section_bytes_t50"] = len(expected)
    figures |= auc_figures(run)
    print(f"grow_same_bytes={same}/{len(sections)}")
    for name, value in figures.items():
        print(f"{name}={value:.5f}" if abs(value) < 1 else f"{name}={value:.0f}")
    reached = {**figures, "grow_auc_gap": figures["grow_auc_gap"] + figures["grow_auc_gap_spread"]}
    missed = [name for name, bar in BARS.items() if reached[name] > bar]
    if same != len(sections) or missed:
        sys.exit(f"bars missed: {', '.join(missed) or 'grow_same_bytes'}")


if __name__ == "__main__":
    main()
